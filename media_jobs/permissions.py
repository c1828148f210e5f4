"""Roles at the API's door."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

from media_jobs import roles

if TYPE_CHECKING:  # at run time this module is imported by rest_framework.views itself
    from rest_framework.views import APIView


class RolePermission(BasePermission):
    """Reading needs SEE; writing needs what the view's `deeds` say for the action, CONFIGURE where they do not."""

    message = "Your role does not allow this."

    def has_permission(self, request: Request, view: APIView) -> bool:
        return roles.may(request.user, _deed(request, view))

    def has_object_permission(self, request: Request, view: APIView, obj: Any) -> bool:
        return roles.may(request.user, _deed(request, view), obj)


def _deed(request: Request, view: APIView) -> str:
    if request.method in SAFE_METHODS:
        return roles.SEE
    deeds: dict[str, str] = getattr(view, "deeds", {})
    return deeds.get(getattr(view, "action", "") or "", roles.CONFIGURE)
