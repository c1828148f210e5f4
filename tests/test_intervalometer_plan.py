import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings

from captures.intervalometer import Plan, PlanError, every
from tests.plans import plans

NO_WEEKDAYS = "This must be a list of weekdays from 1 (Monday) to 7 (Sunday)."
NO_OFFSET = "This must be a whole number from -720 to 720."
NO_CRON = "This is not a cron expression: "
MOMENT = datetime(2026, 3, 28, tzinfo=UTC)
MINUTELY = [{"kind": "interval", "every_s": 60}]


@given(plans(near=MOMENT, with_sun=False) | plans(near=MOMENT, with_sun=True))
@settings(max_examples=100, deadline=None)
def test_a_canonical_document_gives_the_same_plan_again(document):
    plan = Plan.from_document(document)

    canonical = plan.to_document()

    assert Plan.from_document(json.loads(json.dumps(canonical))) == plan
    assert Plan.from_document(canonical).to_document() == canonical


def test_the_canonical_document_is_complete_ordered_and_without_doubles():
    document = {
        "rules": [
            {"kind": "times", "times": ["18:00", "08:00:00", "08:00"]},
            {"kind": "cron", "expression": " 0  12 * * mon "},
            {"kind": "sun", "event": "dusk", "window": {"kind": "altitude", "at_most_deg": -3}},
        ],
        "weekdays": [7, 6, 5, 4, 3, 2, 1, 1],
        "blackouts": [["2026-12-27", "2027-01-03"], "2026-12-24", ["2026-12-24", "2026-12-24"]],
    }

    assert Plan.from_document(document).to_document() == {
        "rules": [
            {"kind": "times", "times": ["08:00", "18:00"]},
            {"kind": "cron", "expression": "0 12 * * MON"},
            {
                "kind": "sun",
                "event": "dusk",
                "offset_min": 0,
                "window": {"kind": "altitude", "at_most_deg": -3.0},
            },
        ],
        "window": {"kind": "none"},
        "weekdays": [],
        "dates": [],
        "blackouts": ["2026-12-24", ["2026-12-27", "2027-01-03"]],
    }


@pytest.mark.parametrize(
    ("document", "problems"),
    [
        (None, {"": "This must be an object."}),
        ({}, {"rules": "This is missing."}),
        ({"rules": []}, {"rules": "A plan has a list of 1 to 20 rules."}),
        ({"rules": MINUTELY * 21}, {"rules": "A plan has a list of 1 to 20 rules."}),
        ({"rules": ["minutely"]}, {"rules.0": "This must be an object."}),
        ({"rules": [{"kind": "yearly"}]}, {"rules.0.kind": "This must be one of interval, cron, times, sun."}),
        ({"rules": [{"kind": ["cron"]}]}, {"rules.0.kind": "This must be one of interval, cron, times, sun."}),
        ({"rules": MINUTELY, "rule": 1}, {"rule": "There is no such field here."}),
        (every(60) | {"weekdays": [0]}, {"weekdays": NO_WEEKDAYS}),
        (every(60) | {"weekdays": [True]}, {"weekdays": NO_WEEKDAYS}),
        (every(60) | {"dates": ["2026-01-01"]}, {"dates.0": "This must be a first and a last date."}),
        (every(60) | {"dates": [["2026-02-01", "2026-01-01"]]}, {"dates.0": "The last date lies before the first."}),
        (every(60) | {"blackouts": ["2026-02-30"]}, {"blackouts.0": "This must be a date like 2026-03-01."}),
        (every(60) | {"blackouts": "2026-02-28"}, {"blackouts": "This must be a list of at most 366 dates."}),
        (every(60) | {"window": []}, {"window": "This must be an object."}),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_plan_is_said_at_its_place(document, problems):
    with pytest.raises(PlanError) as caught:
        Plan.from_document(document)

    assert caught.value.problems == problems


@pytest.mark.parametrize(
    ("rule", "problems"),
    [
        ({"kind": "interval"}, {"every_s": "This is missing."}),
        ({"kind": "interval", "every_s": 0}, {"every_s": "This must be a whole number from 1 to 86400."}),
        ({"kind": "interval", "every_s": 1.5}, {"every_s": "This must be a whole number from 1 to 86400."}),
        ({"kind": "interval", "every_s": True}, {"every_s": "This must be a whole number from 1 to 86400."}),
        ({"kind": "interval", "every_s": 1, "on_the_clock": 1}, {"on_the_clock": "This must be true or false."}),
        ({"kind": "interval", "every_s": 1, "phase": 1}, {"phase": "There is no such field here."}),
        ({"kind": "cron", "expression": "* * *"}, {"expression": f"{NO_CRON}wrong number of fields."}),
        ({"kind": "cron", "expression": "99 * * * *"}, {"expression": f"{NO_CRON}bad minute."}),
        ({"kind": "cron", "expression": "0 0 30 2 *"}, {"expression": f"{NO_CRON}bad day-of-month."}),
        ({"kind": "cron", "expression": "0 0 1 1 2#"}, {"expression": f"{NO_CRON}bad day-of-week."}),
        ({"kind": "cron", "expression": 5}, {"expression": "This must be a text of at most 200 characters."}),
        ({"kind": "times", "times": []}, {"times": "This must be a list of 1 to 1440 times."}),
        ({"kind": "times", "times": ["24:00"]}, {"times.0": "This must be a time like 08:00 or 08:00:30."}),
        ({"kind": "sun", "event": "noon", "offset_min": 721}, {"offset_min": NO_OFFSET}),
        ({"kind": "sun", "event": "moon"}, {"event": "This must be one of dawn, sunrise, noon, sunset, dusk."}),
        ({"kind": "sun", "event": []}, {"event": "This must be one of dawn, sunrise, noon, sunset, dusk."}),
        (MINUTELY[0] | {"window": {"kind": "clock", "start": "8"}}, {"window.end": "This is missing."}),
        (MINUTELY[0] | {"window": {"kind": "altitude"}}, {"window": "This needs at_least_deg or at_most_deg."}),
        (
            MINUTELY[0] | {"window": {"kind": "altitude", "at_least_deg": 91}},
            {"window.at_least_deg": "This must be a number of degrees from -90 to 90."},
        ),
        (
            MINUTELY[0] | {"window": {"kind": "altitude", "at_least_deg": 5, "at_most_deg": 5}},
            {"window.at_most_deg": "This must be more than at_least_deg."},
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_rule_is_said_at_its_place(rule, problems):
    with pytest.raises(PlanError) as caught:
        Plan.from_document({"rules": [rule]})

    assert caught.value.problems == {f"rules.0.{path}": words for path, words in problems.items()}


def test_all_problems_are_said_at_once():
    document = {
        "rules": [{"kind": "interval", "every_s": 0}, {"kind": "times", "times": ["8"]}],
        "weekdays": [8],
    }

    with pytest.raises(PlanError) as caught:
        Plan.from_document(document)

    assert set(caught.value.problems) == {"rules.0.every_s", "rules.1.times.0", "weekdays"}


@pytest.mark.parametrize(
    ("plan", "words"),
    [
        (
            every(60)
            | {"window": {"kind": "clock", "start": "08:00", "end": "18:00"}, "weekdays": [1, 2, 3, 4, 5]},
            "every 60 s, 08:00 to 18:00, Mon to Fri",
        ),
        (every(1), "every 1 s"),
        (every(300, on_the_clock=True), "every 5 min on the clock"),
        (every(90), "every 90 s"),
        (every(7200) | {"weekdays": [1, 2, 4, 6, 7]}, "every 2 h, Mon, Tue, Thu, Sat, Sun"),
        (
            {"rules": [{"kind": "times", "times": ["08:00", "12:30:15", "18:00"]}]},
            "at 08:00, 12:30:15 and 18:00",
        ),
        (
            {
                "rules": [
                    {"kind": "interval", "every_s": 300, "window": {"kind": "sun"}},
                    {"kind": "sun", "event": "sunrise", "offset_min": -15, "window": {"kind": "none"}},
                    {"kind": "sun", "event": "noon"},
                    {"kind": "cron", "expression": "0 12 * * MON"},
                ],
                "window": {"kind": "altitude", "at_least_deg": -6, "at_most_deg": 4.5},
                "dates": [["2026-03-01", "2026-11-30"]],
                "blackouts": ["2026-05-01"],
            },
            "every 5 min (sunrise to sunset) and 15 min before sunrise (all day) and at solar noon "
            "and cron 0 12 * * MON, while the sun is between -6° and 4.5°, 2026-03-01 to 2026-11-30, except 2026-05-01",
        ),
    ],
)
def test_a_plan_in_words(plan, words):
    assert str(Plan.from_document(plan)) == words


@pytest.mark.parametrize(
    ("document", "grace_s"),
    [
        (every(1), 0.5),
        (every(3600), 30),
        ({"rules": [{"kind": "cron", "expression": "* * * * *"}]}, 30),
        ({"rules": [{"kind": "interval", "every_s": 10}, {"kind": "interval", "every_s": 4}]}, 2),
    ],
)
def test_grace_is_half_of_the_shortest_interval_and_thirty_seconds_at_most(document, grace_s):
    assert Plan.from_document(document).grace == timedelta(seconds=grace_s)


@pytest.mark.parametrize(
    ("document", "needs_place"),
    [
        (every(60), False),
        (every(60) | {"window": {"kind": "sun"}}, True),
        ({"rules": [{"kind": "sun", "event": "dawn"}]}, True),
        ({"rules": [MINUTELY[0] | {"window": {"kind": "none"}}], "window": {"kind": "sun"}}, False),
    ],
)
def test_only_plans_with_the_sun_need_a_place(document, needs_place):
    assert Plan.from_document(document).needs_place is needs_place
