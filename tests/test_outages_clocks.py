"""The wall clocks are set an hour forth and back while everything runs: pictures go on, and every slot is explained."""

from datetime import timedelta

import pytest

from tests.chaos.clocks import NoCompiler, WallClock
from tests.chaos.outages import end_all
from tests.chaos.verdict import judge
from tests.stack import running_stack, wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.harm, pytest.mark.soak, pytest.mark.timeout(300)]

HOUR_S = 3600
WRONG_FOR_SLOTS = 3
# A beat and a planner notice within a tick or two; a machine with other things to do takes longer.
BACK_WITHIN_S = 30


class Clocks:
    """The running system, the clock of its database, and that of everybody else."""

    def __init__(self, stack, timelapse, database, others):
        self.stack = stack
        self.timelapse = timelapse
        self.database = database
        self.others = others

    def now(self):
        return self.stack.rows("SELECT clock_timestamp() AS now")[0]["now"]

    def await_pictures(self, after, count=1):
        """Waits for `count` pictures of slots within the ten minutes behind `after`."""
        wait_for(
            lambda: (
                self.stack.rows(
                    "SELECT count(*) FROM captures_capture WHERE state = 'stored' AND timelapse_id = %s"
                    " AND slot BETWEEN %s AND %s",
                    *(self.timelapse, after, after + timedelta(minutes=10)),
                )[0]["count"]
                >= count
            ),
            within_s=BACK_WITHIN_S,
            what=f"{count} pictures after {after}",
        )


@pytest.fixture(scope="module")
def clocks(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clocks")
    try:
        database, others = WallClock(folder, "database"), WallClock(folder, "others")
    except NoCompiler as reason:
        pytest.skip(f"clocks that can be set: {reason}")
    own = {"database": database.environment}
    with running_stack(None, own=own, TIMELAPSER_SEGMENT_FRAMES="30", **others.environment) as stack:
        camera = ("http", stack.http_address, "Lakeside")
        (timelapse,) = stack.add_timelapses([camera], seconds=30 * 86_400)
        yield Clocks(stack, timelapse, database, others)
        # Whatever order the tests had: nothing is unexplained, doubled, lost or left over.
        end_all(stack, [timelapse], within_s=150)
        verdict = judge(stack, [timelapse])
        # Pictures that a clock ahead of time had taken keep the slots that it gave them: behind the end, by now.
        verdict.doubled = [fault for fault in verdict.doubled if "nothing was owed" not in fault]
        assert verdict.is_clean, verdict.table()


@pytest.mark.parametrize("seconds", [-HOUR_S, HOUR_S], ids=["back", "forth"])
def test_machine_whose_clock_is_wrong_for_a_while_goes_on_by_itself(clocks, seconds):
    clocks.await_pictures(clocks.now())
    begin = clocks.now()
    with clocks.database.wrong_by(seconds), clocks.others.wrong_by(seconds):
        if seconds > 0:  # a clock that is ahead finds new slots; one that is behind finds them all taken
            clocks.await_pictures(clocks.now(), count=WRONG_FOR_SLOTS)
        else:
            wait_for(
                lambda: clocks.now() > begin + timedelta(seconds=seconds + 5),
                within_s=30,
                what="five seconds",
            )
    end = clocks.now()
    clocks.await_pictures(end, count=3)
    rows = clocks.stack.rows(
        "SELECT slot, state, reason FROM captures_capture WHERE timelapse_id = %s AND slot BETWEEN %s AND %s",
        *(clocks.timelapse, begin, end),
    )
    assert {row["reason"] for row in rows if row["state"] == "missed"} <= {
        "scheduler_was_down",
        "not_planned_in_time",
        "not_sent_in_time",
        "no_worker",
    }


@pytest.mark.parametrize("seconds", [-HOUR_S, HOUR_S], ids=["back", "forth"])
def test_database_whose_clock_is_wrong_for_a_while_stops_nobody_for_longer(clocks, seconds):
    clocks.await_pictures(clocks.now())
    with clocks.database.wrong_by(seconds):
        begin = clocks.now()
        wait_for(lambda: clocks.now() > begin + timedelta(seconds=4), within_s=30, what="four seconds")
    clocks.await_pictures(clocks.now(), count=3)


@pytest.mark.parametrize("seconds", [-HOUR_S, HOUR_S], ids=["back", "forth"])
def test_workers_whose_clocks_are_wrong_for_a_while_stop_nobody_for_longer(clocks, seconds):
    clocks.await_pictures(clocks.now())
    with clocks.others.wrong_by(seconds):
        begin = clocks.now()
        wait_for(lambda: clocks.now() > begin + timedelta(seconds=4), within_s=30, what="four seconds")
    clocks.await_pictures(clocks.now(), count=3)
