import itertools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from videos.encoding import process
from videos.encoding.errors import EncoderMissing, EncodingCancelled, EncodingFailed, EncodingTookTooLong
from videos.encoding.process import Ffmpeg, run_ffmpeg

ENDLESS = ["-re", "-f", "lavfi", "-i", "testsrc2=size=64x64:rate=5", "-f", "null", "-"]
FROM_STDIN = ["-f", "rawvideo", "-pix_fmt", "gray", "-video_size", "64x64", "-i", "pipe:0", "-f", "null", "-"]


def is_gone(pid):
    return not Path(f"/proc/{pid}").exists()


def wait_until(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def after(seconds):
    """A should_stop that says yes when the time has come."""
    at = time.monotonic() + seconds
    return lambda: time.monotonic() >= at


def feed_after(number, child, size_bytes=64 << 20):
    """Send the child a signal, then more than its pipe holds."""
    with child:
        os.kill(child.pid, number)
        child.feed(bytes(size_bytes))
        child.finish()


def test_cancel_ends_a_busy_child_within_two_seconds():
    child = Ffmpeg(ENDLESS, should_stop=after(0.3), time_limit_s=60)
    began = time.monotonic()

    with pytest.raises(EncodingCancelled), child:
        child.finish()

    assert time.monotonic() - began < 0.3 + 2
    assert is_gone(child.pid)


def test_cancel_ends_a_stopped_child_whose_pipe_is_full():
    child = Ffmpeg(FROM_STDIN, should_stop=after(0.3), time_limit_s=60)
    began = time.monotonic()

    with pytest.raises(EncodingCancelled):
        feed_after(signal.SIGSTOP, child)

    assert time.monotonic() - began < 0.3 + 2
    assert is_gone(child.pid)


def test_stop_is_asked_at_least_every_quarter_second_while_blocked():
    asked = []

    def should_stop():
        asked.append(time.monotonic())
        return len(asked) == 12

    child = Ffmpeg(FROM_STDIN, should_stop=should_stop, time_limit_s=60)
    with pytest.raises(EncodingCancelled):
        feed_after(signal.SIGSTOP, child)

    gaps = sorted(later - earlier for earlier, later in itertools.pairwise(asked))
    assert gaps[len(gaps) // 2] < 0.25
    assert gaps[0] > 0.05


def test_time_limit_ends_the_child():
    child = Ffmpeg(ENDLESS, should_stop=lambda: False, time_limit_s=0.4)

    with pytest.raises(EncodingTookTooLong, match=r"0\.4 s"), child:
        child.finish()

    assert is_gone(child.pid)


def test_killed_child_is_a_failure_that_names_the_signal():
    child = Ffmpeg(ENDLESS, should_stop=lambda: False, time_limit_s=60)

    with pytest.raises(EncodingFailed, match="signal 9"):
        feed_after(signal.SIGKILL, child, size_bytes=0)


def test_child_killed_while_fed_is_a_failure():
    child = Ffmpeg(FROM_STDIN, should_stop=lambda: False, time_limit_s=60)

    with pytest.raises(EncodingFailed, match="signal 9"):
        feed_after(signal.SIGKILL, child)


def test_failure_carries_the_last_lines():
    with pytest.raises(EncodingFailed, match="nosuchfilter"):
        run_ffmpeg(["-f", "lavfi", "-i", "nosuchfilter", "-f", "null", "-"], time_limit_s=60)


def test_flood_of_messages_neither_blocks_nor_grows():
    flood = ["-f", "lavfi", "-i", "testsrc2=size=64x64:rate=5", "-frames:v", "3000", "-f", "null", "-"]

    output, said = run_ffmpeg(flood, time_limit_s=60, loglevel="trace")

    assert output == b""
    assert 4000 < len(said) <= 8192


def test_flood_while_fed_does_not_block():
    said = []
    arguments = ["-debug_ts", *FROM_STDIN[:-3], "-vf", "showinfo", "-f", "null", "-"]
    child = Ffmpeg(
        arguments, should_stop=lambda: False, time_limit_s=60, loglevel="debug", on_output=said.append
    )

    with child:
        child.feed(bytes(4096 * 2000))
        child.finish()

    assert child.last_lines


@pytest.mark.parametrize("address", ["http://127.0.0.1:9/a.mp4", "concat:/etc/hostname", "tcp://127.0.0.1:9"])
def test_only_files_and_pipes_are_read(address):
    with pytest.raises(EncodingFailed, match="whitelist"):
        run_ffmpeg(["-i", address, "-f", "null", "-"], time_limit_s=60)


def test_child_is_nicer_and_in_a_session_of_its_own():
    child = Ffmpeg(ENDLESS, should_stop=lambda: False, time_limit_s=60)

    with child:
        assert os.getsid(child.pid) == child.pid
        nice = os.getpriority(os.PRIO_PROCESS, child.pid)

    assert nice == min(19, os.getpriority(os.PRIO_PROCESS, 0) + process.NICENESS)
    assert is_gone(child.pid)


def test_child_dies_with_its_killed_parent():
    code = (
        "from videos.encoding.process import Ffmpeg\n"
        f"child = Ffmpeg({ENDLESS!r}, should_stop=lambda: False, time_limit_s=60)\n"
        "with child:\n    print(child.pid, flush=True)\n    child.finish()\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    with parent:
        pid = int(parent.stdout.readline())
        assert not is_gone(pid)
        parent.kill()

    wait_until(lambda: is_gone(pid) or "State:\tZ" in Path(f"/proc/{pid}/status").read_text())


def test_missing_ffmpeg_says_what_to_install(monkeypatch):
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", "/nowhere/ffmpeg")
    process.ffmpeg_binary.cache_clear()
    try:
        with pytest.raises(EncoderMissing, match="imageio-ffmpeg"):
            run_ffmpeg(["-version"], time_limit_s=60)
    finally:
        process.ffmpeg_binary.cache_clear()
