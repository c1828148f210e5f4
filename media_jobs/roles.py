"""Who may do what: three groups, and one function that everybody asks."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request
from rest_framework.views import APIView

VIEWER = "viewer"
OPERATOR = "operator"
ADMIN = "admin"
ROLES = (VIEWER, OPERATOR, ADMIN)

# What each step of the ladder adds: look; run timelapses and films; set up cameras and recipes.
SEE = "see"
OPERATE = "operate"
CONFIGURE = "configure"
_NEEDS = {SEE: ROLES, OPERATE: (OPERATOR, ADMIN), CONFIGURE: (ADMIN,)}


def may(user: AbstractBaseUser | AnonymousUser, deed: str, thing: Any = None) -> bool:
    """Whether `user` may do `deed` (SEE, OPERATE, CONFIGURE) to `thing`; superusers may do everything.

    `thing` is a model object or a topic; today every thing is open to the whole group, and this is the one place to
    change that.
    """
    if not user.is_authenticated or not getattr(user, "is_active", False):
        return False
    if getattr(user, "is_superuser", False):
        return True
    if not hasattr(user, "role_names"):
        user.role_names = set(user.groups.values_list("name", flat=True))  # type: ignore[union-attr]
    return not user.role_names.isdisjoint(_NEEDS[deed])


class RolePermission(BasePermission):
    """Reading needs SEE; writing needs the view's `deed` (CONFIGURE unless it says otherwise)."""

    message = "Your role does not allow this."

    def has_permission(self, request: Request, view: APIView) -> bool:
        return may(request.user, self._deed(request, view))

    def has_object_permission(self, request: Request, view: APIView, obj: Any) -> bool:
        return may(request.user, self._deed(request, view), obj)

    @staticmethod
    def _deed(request: Request, view: APIView) -> str:
        if request.method in SAFE_METHODS:
            return SEE
        deeds: dict[str, str] = getattr(view, "deeds", {})
        return deeds.get(getattr(view, "action", "") or "", CONFIGURE)
