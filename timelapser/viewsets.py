"""The API's own doors: tokens, the state of the system, and the answer to unknown addresses."""

from __future__ import annotations

from typing import Any, NoReturn

from django.contrib.auth import authenticate
from drf_spectacular.utils import extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.authentication import BaseAuthentication
from rest_framework.authtoken.models import Token
from rest_framework.exceptions import AuthenticationFailed, NotFound, Throttled
from rest_framework.permissions import AllowAny, BasePermission, IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from media_jobs import clock
from timelapser import guessing, health


class LoginSerializer(serializers.Serializer[Any]):
    username = serializers.CharField(max_length=150)
    password = serializers.CharField(max_length=4096, trim_whitespace=False, write_only=True)


class TokenView(APIView):
    """Tokens for programs: one for each person."""

    def get_permissions(self) -> list[BasePermission]:
        return [AllowAny()] if self.request.method == "POST" else [IsAuthenticated()]

    def get_authenticators(self) -> list[BaseAuthentication]:
        # Logging in needs no login, and a session's cookie must not ask for a CSRF token here.
        if self.request is not None and self.request.method == "POST":
            return []
        return super().get_authenticators()

    @extend_schema(
        request=LoginSerializer,
        responses={200: inline_serializer("Token", {"token": serializers.CharField()})},
        auth=[],
    )
    def post(self, request: Request) -> Response:
        """User name and password for a token; send it as `Authorization: Token <token>`."""
        wish = LoginSerializer(data=request.data)
        wish.is_valid(raise_exception=True)
        username = wish.validated_data["username"]
        wait = guessing.count(request._request, username)
        if wait is not None:
            raise Throttled(wait)
        user = authenticate(request._request, **wish.validated_data)
        if user is None:
            raise AuthenticationFailed("User name or password is wrong.")
        guessing.forgive(request._request, username)
        token, _ = Token.objects.get_or_create(user=user)
        return Response({"token": token.key})

    @extend_schema(request=None, responses={204: None})
    def delete(self, request: Request) -> Response:
        """Revokes the token."""
        Token.objects.filter(user=request.user.pk).delete()  # IsAuthenticated has seen to it
        return Response(status=204)


class SystemSerializer(serializers.Serializer[Any]):
    """Whether pictures are being taken, and what keeps them from it."""

    is_well = serializers.BooleanField()
    faults = serializers.ListField(child=serializers.CharField())
    scheduler_silent_s = serializers.FloatField(
        allow_null=True, help_text="Seconds since the planner's last tick; null: there never was one."
    )


class SystemView(APIView):
    """The state of the system."""

    @extend_schema(operation_id="system_retrieve", responses={200: SystemSerializer})
    def get(self, request: Request) -> Response:
        """Whether the scheduler ticks, and what is wrong; `queues/`, `workers/` and `clock/` say more."""
        faults = health.find_faults()
        silence = health.scheduler_silence(clock.now())
        answer = {
            "is_well": not faults,
            "faults": faults,
            "scheduler_silent_s": max(0.0, silence.total_seconds()) if silence is not None else None,
        }
        return Response(SystemSerializer(answer).data)


class NothingHere(APIView):
    """Unknown addresses below the API answer like the rest of it."""

    permission_classes = [AllowAny]
    schema = None

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> NoReturn:
        raise NotFound("There is nothing at this address.")
