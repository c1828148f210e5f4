"""Timelapses, the schedules they had, the ledger, and how its pictures were judged."""

from captures.models.judgements import CameraPast, JudgedPicture
from captures.models.ledger import RULE_LENGTH, Capture, CaptureQuerySet, span_of_slot
from captures.models.timelapses import (
    KNOWN_TIMETABLES,
    NOT_CALCULATED,
    Gap,
    Schedule,
    Timelapse,
    TimelapseQuerySet,
    default_plan,
    default_time_zone,
)

__all__ = [
    "KNOWN_TIMETABLES",
    "NOT_CALCULATED",
    "RULE_LENGTH",
    "CameraPast",
    "Capture",
    "CaptureQuerySet",
    "Gap",
    "JudgedPicture",
    "Schedule",
    "Timelapse",
    "TimelapseQuerySet",
    "default_plan",
    "default_time_zone",
    "span_of_slot",
]
