"""Who may do what: three groups, and one function that everybody asks."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

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
    return not _roles_of(user).isdisjoint(_NEEDS[deed])


def _roles_of(user: Any) -> set[str]:
    """The names of the user's groups, asked once for each request's user."""
    if not hasattr(user, "role_names"):
        user.role_names = set(user.groups.values_list("name", flat=True))
    names: set[str] = user.role_names
    return names
