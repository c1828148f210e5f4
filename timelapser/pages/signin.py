"""Login and logout. The admin's login leads here, too."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import LoginView, LogoutView
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import urlencode

from timelapser import guessing


class LogIn(LoginView):
    template_name = "login.html"
    redirect_authenticated_user = True

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        wait = guessing.count(request, request.POST.get("username", ""))
        if wait is not None:
            response = render(request, "429.html", status=429)
            response["Retry-After"] = str(wait)
            return response
        return super().post(request, *args, **kwargs)

    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        guessing.forgive(self.request, self.request.POST.get("username", ""))
        return super().form_valid(form)


@login_not_required
def admin_login(request: HttpRequest) -> HttpResponse:
    """One door for passwords. Whoever has come in and may not see the admin is told so, not led in circles."""
    if request.user.is_authenticated and not admin.site.has_permission(request):
        raise PermissionDenied
    wanted = request.GET.get("next") or reverse("admin:index")
    return redirect(f"{reverse('login')}?{urlencode({'next': wanted})}")


class LogOut(LogoutView):
    """By POST only, so that no link can log anybody out."""

    http_method_names = ["post", "options"]
