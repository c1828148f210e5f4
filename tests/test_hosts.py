"""Three machines against one database and one broker; the cable of one is pulled in the middle of its work."""

from itertools import pairwise

import pytest

from tests.chaos.hosts import running_hosts
from tests.chaos.rooms import RoomRefused
from tests.chaos.verdict import judge
from tests.evidence import captures, unfinished_files, wait_until_settled
from tests.stack import wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.harm, pytest.mark.soak, pytest.mark.timeout(420)]

SLOTS = 40
# A job that the lost machine had in hand is taken back when its lease has run out: 60 s, and 30 s to be seen.
TAKEN_OVER_WITHIN_S = 150


class CutOff:
    """What remains after one machine was cut off, the others have finished all, and it has come back."""

    def __init__(self, stack, timelapses, lost, at, verdict):
        self.stack = stack
        self.timelapses = timelapses
        self.lost = lost
        self.at = at
        self.verdict = verdict


@pytest.fixture(scope="module")
def cut_off():
    try:
        with running_hosts(3, TIMELAPSER_SEGMENT_FRAMES="20") as (stack, hosts):
            lost = hosts[1]
            cameras = [("http", stack.http_address, "Lakeside"), ("rtsp", stack.rtsp_address, "Harbour")]
            timelapses = stack.add_timelapses(cameras, seconds=SLOTS)
            # It has taken pictures, and is in the middle of a film.
            wait_for(lambda: stored_by(stack, lost), within_s=30, what="a picture by the machine")
            wait_for(lambda: lost.ffmpegs(stack), within_s=30, what="its ffmpeg", every_s=0.01)
            lost.cut_off()
            at = stack.rows("SELECT clock_timestamp() AS now")[0]["now"]
            wait_until_settled(stack, within_s=SLOTS + TAKEN_OVER_WITHIN_S)
            before = stack.rows("SELECT id, state, attempt, file FROM captures_capture ORDER BY id")
            lost.reconnect()
            seen_at = stack.rows("SELECT max(at) AS at FROM media_jobs_pulse")[0]["at"]
            wait_for(lambda: has_pulse(stack, lost, seen_at), within_s=90, what="the machine to be back")
            wait_for(lambda: not unfinished_files(stack), within_s=60, what="leftovers to be cleared")
            assert stack.rows("SELECT id, state, attempt, file FROM captures_capture ORDER BY id") == before
            yield CutOff(stack, timelapses, lost, at, judge(stack, timelapses))
    except RoomRefused as reason:
        pytest.skip(f"several machines: {reason}")


def test_nothing_is_unexplained_doubled_lost_or_left_over(cut_off):
    assert cut_off.verdict.is_clean, cut_off.verdict.table()
    assert cut_off.verdict.owed == SLOTS * len(cut_off.timelapses)


def test_others_took_over(cut_off):
    for timelapse in cut_off.timelapses:
        rows = [row for row in captures(cut_off.stack, timelapse) if row["slot"] > cut_off.at]
        taken = [row["worker"].partition("@")[2] for row in rows if row["state"] == "stored"]
        assert cut_off.lost.name not in taken
        assert len(taken) > SLOTS // 4


def test_every_machine_had_its_share_before(cut_off):
    workers = {
        row["worker"].partition("@")[2]
        for timelapse in cut_off.timelapses
        for row in captures(cut_off.stack, timelapse)
        if row["state"] == "stored"
    }
    assert workers == {"host1", "host2", "host3"}


def test_every_second_pictures_outlive_the_machine_that_was_cut_off(cut_off):
    # The clocks of the others go on: no gap is longer than it takes to notice.
    stored = cut_off.stack.rows(
        "SELECT DISTINCT date_trunc('second', slot) AS second FROM captures_capture WHERE state = 'stored'"
        " AND slot > %s ORDER BY 1",
        cut_off.at,
    )
    seconds = [row["second"] for row in stored]
    gaps = [(later - sooner).total_seconds() for sooner, later in pairwise(seconds)]
    assert max(gaps) <= 5, gaps


def stored_by(stack, host):
    return stack.rows(
        "SELECT id FROM captures_capture WHERE state = 'stored' AND worker LIKE %s", f"%@{host.name}"
    )


def has_pulse(stack, host, after):
    return stack.rows(
        "SELECT name FROM media_jobs_pulse WHERE name LIKE %s AND at > %s", f"%@{host.name}", after
    )
