"""What can be set, typed and with bounds, and the one rule by which a value is inherited; no Django."""

from cameras.settings.catalogue import GROUPS, Settings
from cameras.settings.option import Level, Option, SettingRefused, options
from cameras.settings.resolution import Effective, checked, resolve

__all__ = [
    "GROUPS",
    "Effective",
    "Level",
    "Option",
    "SettingRefused",
    "Settings",
    "checked",
    "options",
    "resolve",
]
