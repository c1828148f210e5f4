import functools
import itertools
import subprocess
import sys
import textwrap
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.painted import names_in, read_film, source
from videos.encoding.errors import DiskFull, EncodingCancelled, EncodingFailed, NoFrames, SegmentsDiffer
from videos.encoding.join import join_segments
from videos.encoding.look import CODECS, Look
from videos.encoding.process import ffmpeg_binary
from videos.encoding.segments import encode_segment

NTSC = Fraction(30000, 1001)
NASTY = [
    [1], [1, 1, 1], [30, 1, 30], [30, 7, 30], [1, 30, 7, 2, 30], [30, 30, 1], [2, 3, 1, 4, 1, 5, 30, 1],
    [7, 7, 7], [30, 30, 30],
]  # fmt: skip


def look_of(codec, fps=25):
    return Look(192, 108, fps, codec, gop=30)


@pytest.fixture
def folder(tmp_path):
    """A folder with nothing else in it."""
    made = tmp_path / "films"
    made.mkdir()
    return made


@pytest.fixture(scope="module")
def segment(tmp_path_factory):
    """Gives a segment of `count` frames whose numbers begin at `first`, made once."""
    store = tmp_path_factory.mktemp("segments")

    @functools.cache
    def make(codec, count, first, fps=25, threads=2, **changes):
        out = store / f"{len(names_in(store))}.mp4"
        look = replace(look_of(codec, fps), **changes)
        frames = [source(number, look.width, look.height) for number in range(first, first + count)]
        encode_segment(
            frames,
            look,
            out,
            on_progress=lambda done: None,
            should_stop=lambda: False,
            time_limit_s=60,
            threads=threads,
        )
        return out

    return make


def never():
    return False


def assert_film(path, counts, fps):
    """Every painted number in order, every instant exact, and no word from a decoder or muxer."""
    expected = list(itertools.chain.from_iterable(range(50, 50 + count) for count in counts))
    numbers, instants = read_film(path)
    assert numbers == expected
    assert instants == [number / Fraction(fps) for number in range(len(expected))]
    for copied in ([], ["-c", "copy"]):
        ran = subprocess.run(
            [ffmpeg_binary(), "-v", "warning", "-i", path, *copied, "-f", "null", "-"],
            capture_output=True, text=True, check=True, timeout=60,
        )  # fmt: skip
        assert ran.stderr == ""


@pytest.mark.parametrize("counts", NASTY, ids=str)
@pytest.mark.parametrize("codec", CODECS)
def test_film_of_any_mixture_of_lengths_is_exact(folder, segment, codec, counts):
    out = folder / "film.mp4"

    facts = join_segments([segment(codec, n, 50) for n in counts], look_of(codec), out, should_stop=never)

    assert_film(out, counts, 25)
    assert (facts.frame_count, facts.duration) == (sum(counts), Fraction(sum(counts), 25))
    assert (facts.width, facts.height, facts.codec) == (192, 108, codec)
    assert facts.bytes == out.stat().st_size
    assert names_in(folder) == ["film.mp4"]


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from([1, 2, 3, 4, 7, 30]), min_size=1, max_size=8))
def test_film_of_drawn_lengths_is_exact_at_a_broken_rate(folder, segment, counts):
    paths = [segment("h264", count, 50, NTSC) for count in counts]

    facts = join_segments(paths, look_of("h264", NTSC), folder / "film.mp4", should_stop=never)

    assert_film(folder / "film.mp4", counts, NTSC)
    assert facts.duration == sum(counts) / NTSC


@pytest.mark.parametrize("codec", CODECS)
def test_segments_of_machines_with_other_numbers_of_threads_join(folder, segment, codec):
    paths = [segment(codec, 7, 50, threads=threads) for threads in (1, 2, 3, 8)]

    join_segments(paths, look_of(codec), folder / "film.mp4", should_stop=never)

    assert_film(folder / "film.mp4", [7] * 4, 25)


def test_index_comes_before_the_pictures(folder, segment):
    join_segments([segment("h264", 30, 50)] * 2, look_of("h264"), folder / "film.mp4", should_stop=never)

    data = (folder / "film.mp4").read_bytes()
    assert 0 < data.index(b"moov") < data.index(b"mdat")


def test_h265_is_tagged_for_apple_players(folder, segment):
    join_segments([segment("h265", 2, 50)], look_of("h265"), folder / "film.mp4", should_stop=never)

    assert b"hvc1" in (folder / "film.mp4").read_bytes()[:4096]


@pytest.mark.parametrize(
    ("codec", "changes"),
    [("h264", {"width": 256}), ("h264", {"height": 144}), ("h265", {}), ("h264", {"preset": "ultrafast"})],
)
def test_segments_of_other_parameters_are_refused(folder, segment, codec, changes):
    paths = [segment("h264", 7, 50), segment(codec, 7, 50, **changes)]

    with pytest.raises(SegmentsDiffer, match=paths[1].name):
        join_segments(paths, look_of("h264"), folder / "film.mp4", should_stop=never)

    assert names_in(folder) == []


def test_segments_of_another_size_than_the_film_are_refused(folder, segment):
    with pytest.raises(SegmentsDiffer, match="192x108"):
        join_segments([segment("h264", 7, 50)], Look(256, 144, 25), folder / "film.mp4", should_stop=never)


def test_segments_of_another_rate_are_refused(folder, segment):
    paths = [segment("h264", 7, 50), segment("h264", 7, 50, NTSC)]

    with pytest.raises(SegmentsDiffer):
        join_segments(paths, look_of("h264"), folder / "film.mp4", should_stop=never)


def test_film_of_nothing_is_no_frames(folder):
    with pytest.raises(NoFrames):
        join_segments([], look_of("h264"), folder / "film.mp4", should_stop=never)


@pytest.mark.parametrize("damage", ["missing", "empty", "cut", "garbage"])
def test_damaged_segment_is_named_and_the_old_film_stays(folder, segment, damage):
    whole = segment("h264", 30, 50).read_bytes()
    bad, out = folder / "bad.mp4", folder / "film.mp4"
    out.write_bytes(b"the old film")
    if damage != "missing":
        bad.write_bytes({"empty": b"", "cut": whole[: len(whole) // 2], "garbage": bytes(5000)}[damage])

    with pytest.raises(EncodingFailed, match=r"bad\.mp4"):
        join_segments([segment("h264", 30, 50), bad], look_of("h264"), out, should_stop=never)

    assert out.read_bytes() == b"the old film"
    assert {path.suffix for path in folder.iterdir()} == {".mp4"}


def test_segment_with_a_damaged_picture_is_found_before_the_old_film_goes(folder, segment):
    data = bytearray(segment("h264", 30, 50).read_bytes())
    begin = data.index(b"mdat") + 4
    data[begin + 700 : begin + 1100] = bytes(400)
    bad, out = folder / "bad.mp4", folder / "film.mp4"
    bad.write_bytes(data)
    out.write_bytes(b"the old film")

    with pytest.raises(EncodingFailed, match="does not decode"):
        join_segments([segment("h264", 30, 50), bad], look_of("h264"), out, should_stop=never)

    assert out.read_bytes() == b"the old film"


@pytest.mark.parametrize("asked", [1, 2])
def test_cancel_leaves_the_old_film_and_no_part(folder, segment, asked):
    out = folder / "film.mp4"
    out.write_bytes(b"the old film")
    answers = iter([False] * (asked - 1) + [True] * 100)

    with pytest.raises(EncodingCancelled):
        join_segments(
            [segment("h264", 30, 50)] * 1500, look_of("h264"), out, should_stop=lambda: next(answers)
        )

    assert out.read_bytes() == b"the old film"
    assert names_in(folder) == ["film.mp4"]


def test_limit_of_the_file_size_is_said_and_leaves_nothing(folder, segment):
    paths = [str(segment("h264", 30, 50))] * 20
    code = textwrap.dedent(
        f"""
        import pathlib, resource
        from videos.encoding.errors import DiskFull
        from videos.encoding.join import join_segments
        from videos.encoding.look import Look
        resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))
        try:
            join_segments([pathlib.Path(path) for path in {paths!r}], Look(192, 108, 25, gop=30),
                          pathlib.Path({str(folder / "film.mp4")!r}), should_stop=lambda: False)
        except DiskFull:
            print("disk full")
        """
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)

    assert ran.stdout == "disk full\n"
    assert names_in(folder) == []


def test_full_disk_is_said_and_leaves_nothing(folder, segment):
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("needs the right to mount a small tmpfs; the file size limit is tested without")
    try:
        with pytest.raises(DiskFull):
            join_segments(
                [segment("h264", 30, 50)] * 20, look_of("h264"), folder / "film.mp4", should_stop=never
            )
        assert names_in(folder) == []
    finally:
        subprocess.run(["umount", folder], check=True)


def test_memory_does_not_grow_with_the_film(folder, segment):
    """Ten times the segments may cost the file index (some 40 bytes a frame), not the pictures."""
    paths = [str(segment("h264", 30, 50))]
    code = textwrap.dedent(
        f"""
        import pathlib, resource
        from videos.encoding.join import join_segments
        from videos.encoding.look import Look
        paths = [pathlib.Path(path) for path in {paths!r}]
        peaks = []
        for times in (30, 300):
            film = pathlib.Path({str(folder / "film.mp4")!r})
            join_segments(paths * times, Look(192, 108, 25, gop=30), film, should_stop=lambda: False)
            peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
        print(peaks[1] - peaks[0])
        """
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)

    assert int(ran.stdout) < 6000  # KiB
    assert Path(folder / "film.mp4").stat().st_size > 1_000_000
