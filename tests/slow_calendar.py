"""The slots that a plan owes, calculated slowly and independently: minute by minute through the local time.

Shares with the product the position of the sun alone, which tests/test_intervalometer_sun.py holds against Astral.
For years from 1975 on, when all zones are whole minutes from UTC.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from captures.intervalometer.sun import Place, altitude

MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)
DAY = timedelta(days=1)
ALL_WEEK = {1, 2, 3, 4, 5, 6, 7}


def owed(document: dict, start: datetime, end: datetime) -> list[datetime]:
    """The slots in [start, end) of a timetable's document, in order.

    Not for solar noon, nor for weekdays and dates together with an altitude.
    """
    zone = ZoneInfo(document["zone"])
    place = document["place"] and Place(*document["place"])
    found = set()
    for rule, anchor in zip(document["plan"]["rules"], document["anchors"], strict=True):
        window = rule.get("window") or document["plan"]["window"]
        for moment in _moments(rule, anchor, zone, place, start, end):
            if start <= moment < end and _is_open(window, document["plan"], moment, zone, place):
                found.add(moment)
    return sorted(found)


def _moments(rule, anchor, zone, place, start, end) -> Iterator[datetime]:
    match rule["kind"]:
        case "interval":
            step = timedelta(seconds=rule["every_s"])
            first = datetime.fromisoformat(anchor)
            moment = first + (start - first) // step * step
            while moment < end:
                yield moment
                moment += step
        case "times":
            readings = [time.fromisoformat(text) for text in rule["times"]]
            yield from _once(
                lambda day: [datetime.combine(day, reading) for reading in readings], zone, start, end
            )
        case "cron":
            yield from _cron(rule["expression"], zone, start, end)
        case "sun":
            yield from _sun_events(rule, place, start, end)


def _once(readings_of_day, zone, start, end) -> Iterator[datetime]:
    """Each reading fires at the first instant at which the clock shows it or has gone past it."""
    scan = _scan(zone, _midnight(start) - DAY, _midnight(end) + 2 * DAY)
    days = sorted({local.date() for _, local in scan})
    waiting = sorted(reading for day in days[1:-1] for reading in readings_of_day(day))
    position = 0
    for moment, local in scan:
        while position < len(waiting) and local + 59 * SECOND >= waiting[position]:
            yield moment + max(waiting[position] - local, timedelta())
            position += 1


def _cron(expression, zone, start, end) -> Iterator[datetime]:
    *seconds, minutes, hours, days, months, weekdays = expression.split()
    fields = [
        _field(text, low, high)
        for text, low, high in [
            (minutes, 0, 59), (hours, 0, 23), (days, 1, 31), (months, 1, 12), (weekdays, 0, 7),
        ]
    ]  # fmt: skip
    at_seconds = sorted(_field(seconds[0], 0, 59)) if seconds else [0]
    has_both = "*" in (days[0], weekdays[0])

    def is_on(day: date) -> bool:
        by_day, by_weekday = day.day in fields[2], bool({day.isoweekday(), day.isoweekday() % 7} & fields[4])
        return day.month in fields[3] and (by_day and by_weekday if has_both else by_day or by_weekday)

    def readings(day: date) -> list[datetime]:
        wanted = [(h, m, s) for h in sorted(fields[1]) for m in sorted(fields[0]) for s in at_seconds]
        return [datetime.combine(day, time(*at)) for at in wanted] if is_on(day) else []

    if "*" not in (minutes[0], hours[0]):
        yield from _once(readings, zone, start, end)
        return
    for moment, local in _scan(zone, _midnight(start) - DAY, _midnight(end) + 2 * DAY):
        if local.minute in fields[0] and local.hour in fields[1] and is_on(local.date()):
            yield from (moment + second * SECOND for second in at_seconds)


def _field(text: str, low: int, high: int) -> set[int]:
    """Numbers, ranges, lists and steps; no names."""
    if "," in text:
        return set().union(*(_field(part, low, high) for part in text.split(",")))
    span, _, step = text.partition("/")
    if span == "*":
        first, last = low, high
    else:
        first, _, last = span.partition("-")
        last = last or (high if step else first)
    return set(range(int(first), int(last) + 1, int(step or 1)))


def _is_open(window, plan, moment, zone, place) -> bool:
    local = moment.astimezone(zone).replace(tzinfo=None)
    match window["kind"]:
        case "none":
            return _counts(local.date(), plan)
        case "clock":
            start, end = time.fromisoformat(window["start"]), time.fromisoformat(window["end"])
            if start == end:
                return _counts(local.date(), plan)
            if start < end:
                return start <= local.time() <= end and _counts(local.date(), plan)
            is_evening = local.time() >= start and _counts(local.date(), plan)
            return is_evening or (local.time() <= end and _counts(local.date() - DAY, plan))
        case "sun":
            return any(
                _counts((rise + (set_ - rise) / 2).astimezone(zone).date(), plan)
                for rise, set_ in _daylights(place, _midnight(moment) - 3 * DAY, _midnight(moment) + 4 * DAY)
                if rise + window.get("start_offset_min", 0) * MINUTE
                <= moment
                <= set_ + window.get("end_offset_min", 0) * MINUTE
            )
    if plan["weekdays"] or plan["dates"] or plan["blackouts"]:
        raise NotImplementedError
    whole = moment.replace(microsecond=0)
    low, high = window.get("at_least_deg", -90), window.get("at_most_deg", 90)
    return all(
        low <= altitude(place, at.timestamp()) <= high for at in {whole, whole + (whole != moment) * SECOND}
    )


def _counts(day: date, plan) -> bool:
    spans = [[span, span] if isinstance(span, str) else span for span in plan["blackouts"]]
    if any(first <= day.isoformat() <= last for first, last in spans):
        return False
    if plan["dates"] and not any(first <= day.isoformat() <= last for first, last in plan["dates"]):
        return False
    return day.isoweekday() in (plan["weekdays"] or ALL_WEEK)


def _sun_events(rule, place, start, end) -> Iterator[datetime]:
    depth = -6 if rule["event"] in ("dawn", "dusk") else -0.833
    is_rising = {"dawn": True, "sunrise": True, "sunset": False, "dusk": False}[rule["event"]]
    for moment, rises in _crossings(place, depth, _midnight(start) - 2 * DAY, _midnight(end) + 3 * DAY):
        if rises == is_rising:
            yield moment + rule["offset_min"] * MINUTE


def _daylights(place, start, end) -> list[tuple[datetime, datetime]]:
    """From sunrise to sunset; what had risen before `start`, or sets after `end`, goes on for ever there."""
    edges = list(_crossings(place, -0.833, start, end))
    is_up = altitude(place, start.timestamp()) >= -0.833
    risen = start - 9 * DAY if is_up else None
    found = []
    for moment, rises in edges:
        if rises:
            risen = moment
        else:
            found.append((risen, moment))
            risen = None
    return found if risen is None else [*found, (risen, end + 9 * DAY)]


@lru_cache(maxsize=4096)
def _crossings(place, depth, start, end) -> tuple[tuple[datetime, bool], ...]:
    """The first second of being up with True, the last one with False."""
    found = []
    moment, was_up = start, altitude(place, start.timestamp()) >= depth
    while moment < end:
        moment += MINUTE
        if (altitude(place, moment.timestamp()) >= depth) == was_up:
            continue
        seconds = [moment - second * SECOND for second in range(60, -1, -1)]
        up = [at for at in seconds if altitude(place, at.timestamp()) >= depth]
        found.append((up[-1], False) if was_up else (up[0], True))
        was_up = not was_up
    return tuple(found)


@lru_cache(maxsize=64)
def _scan(zone, start, end) -> list[tuple[datetime, datetime]]:
    """Each minute with what the local clock shows."""
    minutes = (start + number * MINUTE for number in range((end - start) // MINUTE))
    return [(moment, moment.astimezone(zone).replace(tzinfo=None)) for moment in minutes]


def _midnight(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
