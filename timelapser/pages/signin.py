"""Login and logout. Guessing passwords is slowed down by address."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.views import LoginView, LogoutView
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from rest_framework.throttling import SimpleRateThrottle


class LoginThrottle(SimpleRateThrottle):
    """Counts tries by the address of the connection: X-Forwarded-For can be invented by whoever guesses."""

    scope = "login"

    def get_cache_key(self, request: Any, view: Any) -> str:
        return f"login_{request.META.get('REMOTE_ADDR', '')}"


class LogIn(LoginView):
    template_name = "login.html"
    redirect_authenticated_user = True

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        throttle = LoginThrottle()
        if not throttle.allow_request(request, self):  # type: ignore[arg-type] # it reads META only
            response = render(request, "429.html", status=429)
            response["Retry-After"] = str(int(throttle.wait() or 60) + 1)
            return response
        return super().post(request, *args, **kwargs)


class LogOut(LogoutView):
    """By POST only, so that no link can log anybody out."""

    http_method_names = ["post", "options"]
