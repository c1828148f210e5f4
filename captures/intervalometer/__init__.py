"""When is a timelapse due? Pure: values in, values out."""

from captures.intervalometer.document import PlanError
from captures.intervalometer.forecast import Coming, LeftOut
from captures.intervalometer.grid import EPOCH, Grid, clock_grid, spread_grid
from captures.intervalometer.openings import Reason
from captures.intervalometer.plan import Plan, every
from captures.intervalometer.sun import Place
from captures.intervalometer.timetable import LOOK_AHEAD, Timetable

__all__ = [
    "EPOCH",
    "LOOK_AHEAD",
    "Coming",
    "Grid",
    "LeftOut",
    "Place",
    "Plan",
    "PlanError",
    "Reason",
    "Timetable",
    "clock_grid",
    "every",
    "spread_grid",
]
