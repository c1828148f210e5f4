"""What a timelapse can refuse.

CampaignError
├── CameraBusy     the camera has a running or paused timelapse
├── CameraOff      the camera is switched off here
├── HasPictures    what has pictures is archived, not deleted
├── MoveRefused    the state does not allow the move
├── NoPicture      only a stored picture has a flag
├── NotRestorable  the discarded picture is no longer there
├── NotRunning     only a running timelapse takes pictures
└── PlanRefused    its plan cannot be carried out
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from captures.models import Timelapse


class CampaignError(Exception):
    """The timelapse refuses."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or self.__doc__)


class CameraBusy(CampaignError):
    """The camera has a running or paused timelapse already."""

    def __init__(self, active: Timelapse) -> None:
        super().__init__(
            f"The camera is busy with the {active.state} timelapse “{active.name}”. Complete that one first, or ask to "
            "complete it and start this one."
        )
        self.active = active


class CameraOff(CampaignError):
    """The camera is switched off here, so it takes no pictures. Switch it on first."""


class HasPictures(CampaignError):
    """This timelapse has pictures, and they are kept. Archive it."""


class MoveRefused(CampaignError):
    """The state of the timelapse does not allow this."""


class NoPicture(CampaignError):
    """There is no picture of this slot."""


class NotRestorable(CampaignError):
    """This picture is not in the quarantine, or its time there is over."""


class NotRunning(CampaignError):
    """The timelapse is not running, so it takes no pictures. Start or resume it first."""


class PlanRefused(CampaignError):
    """The plan cannot be carried out. `problems` says why, in words, for each path into the plan."""

    def __init__(self, problems: dict[str, str]) -> None:
        super().__init__(" ".join(problems.values()))
        self.problems = problems
