"""The schema says what can go wrong, too: every operation lists its problem details."""

from __future__ import annotations

from typing import Any, Literal

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiResponse
from rest_framework import serializers
from rest_framework.permissions import AllowAny

from timelapser.problems import MEDIA_TYPE

WORDS = {
    "400": "The values, the filters or the JSON are not valid.",
    "401": "Not logged in, or the token is not valid.",
    "403": "The role does not allow this, or the CSRF token is missing.",
    "404": "There is nothing here.",
    "406": "Only JSON is to be had.",
    "409": "The state of things does not allow this; `detail` says why and what helps.",
    "413": "The body is too large.",
    "415": "Only application/json is understood.",
    "429": "Too many requests; `Retry-After` says for how many seconds to wait.",
}


class ProblemSerializer(serializers.Serializer[Any]):
    """A problem (RFC 9457)."""

    type = serializers.CharField(default="about:blank")
    title = serializers.CharField(help_text="The words of the status.")
    status = serializers.IntegerField()
    detail = serializers.CharField(help_text="What happened, for people.")
    code = serializers.CharField(help_text="What happened, for programs.")
    correlation_id = serializers.CharField(help_text="Finds the request in the logs.")
    errors = serializers.DictField(  # type: ignore[assignment] # the name is ours; DRF keeps fields elsewhere
        child=serializers.ListField(child=serializers.CharField()),
        required=False,
        help_text="What is wrong with each field; only with the codes `invalid` and `plan_refused`.",
    )
    active_timelapse = serializers.IntegerField(
        required=False, help_text="Which timelapse keeps the camera busy; only with the code `camera_busy`."
    )


class Schema(AutoSchema):
    """Adds the problems that an operation can answer with; a view lists those with 409 in `conflicts`."""

    def _get_response_bodies(self, direction: Literal["request", "response"] = "response") -> dict[str, Any]:
        bodies: dict[str, Any] = super()._get_response_bodies(direction)
        for code in self._problems():
            problem = OpenApiResponse(ProblemSerializer, description=WORDS[code])
            made = self._get_response_for_code(problem, code, [MEDIA_TYPE])  # type: ignore[no-untyped-call] # their function is untyped
            bodies.setdefault(code, made)
        return dict(sorted(bodies.items()))

    def _problems(self) -> list[str]:
        codes = ["406", "429"]
        if not any(isinstance(permission, AllowAny) for permission in self.view.get_permissions()):
            codes += ["401", "403"]
        elif self.method == "POST":
            codes.append("401")  # logging in itself
        if "{" in self.path or self._is_list_view():
            codes.append("404")  # of the thing, of the page
        if self.method in {"POST", "PUT", "PATCH"}:
            codes += ["400", "413", "415"]
        elif self._is_list_view() or getattr(self.view, "query_serializer_class", None):
            codes.append("400")
        action = getattr(self.view, "action", None) or (self.method or "").lower()
        if action in getattr(self.view, "conflicts", ()):
            codes.append("409")
        return codes
