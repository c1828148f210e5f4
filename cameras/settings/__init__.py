"""What can be set, typed and with bounds, and the one rule by which a value is inherited; no Django."""

from cameras.settings.catalogue import GROUPS, Settings
from cameras.settings.option import Level, Option, SettingRefused, SettingsRefused, options
from cameras.settings.outline import Line, outline
from cameras.settings.resolution import WORDS_OF_LEVEL, Effective, checked, merged, resolve

__all__ = [
    "GROUPS",
    "WORDS_OF_LEVEL",
    "Effective",
    "Level",
    "Line",
    "Option",
    "SettingRefused",
    "Settings",
    "SettingsRefused",
    "checked",
    "merged",
    "options",
    "outline",
    "resolve",
]
