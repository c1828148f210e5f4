"""What can be seen from outside after a run: asked of the database, the files and the socket, not of our code."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.stack import Stack, wait_for
from timelapser.demo.clock import read_clock

STATES = {"stored", "failed", "missed", "skipped"}


def start_timelapse(
    api: Any, *, kind: str, address: str, name: str, slots: int, starts_in_s: float = 3
) -> int:
    """A camera, its timelapse of one slot a second and the film that follows it, all by the API; gives the id."""
    camera = created(api.post("/api/v1/cameras/", json={"name": name, "kind": kind, "address": address}))
    start_at = datetime.fromisoformat(database_time(api)) + timedelta(seconds=starts_in_s)
    # The end is exclusive and the span a whole number of intervals: as many slots as seconds, whatever the phase.
    wish = {
        "camera": camera["id"],
        "name": name,
        "plan": {"rules": [{"kind": "interval", "every_s": 1}]},
        "start_at": start_at.isoformat(),
        "end_at": (start_at + timedelta(seconds=slots)).isoformat(),
    }
    timelapse = created(api.post("/api/v1/timelapses/", json=wish))["id"]
    recipe = api.get("/api/v1/recipes/").json()["results"][0]["id"]
    film = {"timelapse": timelapse, "recipe": recipe, "name": name, "follows": True}
    created(api.post("/api/v1/videos/", json=film))
    answer = api.post(f"/api/v1/timelapses/{timelapse}/start/", json={})
    assert answer.status_code == 200, answer.text
    return int(timelapse)


def created(answer: Any) -> Any:
    assert answer.status_code == 201, f"{answer.status_code}: {answer.text}"
    return answer.json()


def database_time(api: Any) -> str:
    return datetime.now().astimezone().isoformat()


def owed_slots(stack: Stack, timelapse: int) -> list[datetime]:
    """The slots that the timelapse promised, calculated here from its dates and the anchor of its grid.

    For a timelapse with one schedule that was neither paused nor changed.
    """
    (found,) = stack.rows(
        "SELECT t.start_at, t.end_at, s.from_at, s.document FROM captures_timelapse t"
        " JOIN captures_schedule s ON s.timelapse_id = t.id WHERE t.id = %s",
        timelapse,
    )
    document = found["document"]
    interval = timedelta(seconds=document["plan"]["rules"][0]["every_s"])
    anchor = datetime.fromisoformat(document["anchors"][0])
    first = max(found["start_at"], found["from_at"])
    number = -((anchor - first) // interval)
    slots = []
    while (slot := anchor + number * interval) < found["end_at"]:
        slots.append(slot)
        number += 1
    return slots


def captures(stack: Stack, timelapse: int) -> list[dict[str, Any]]:
    """All rows of the timelapse in order of their slots."""
    return stack.rows("SELECT * FROM captures_capture WHERE timelapse_id = %s ORDER BY slot", timelapse)


def stored(stack: Stack, timelapse: int) -> list[dict[str, Any]]:
    return [row for row in captures(stack, timelapse) if row["state"] == "stored"]


def following_film(stack: Stack, timelapse: int) -> dict[str, Any]:
    (film,) = stack.rows("SELECT * FROM videos_video WHERE timelapse_id = %s AND follows", timelapse)
    return film


def is_settled(stack: Stack) -> bool:
    """Nothing is owed, nothing is being worked on, and every following film has every picture."""
    (count,) = stack.rows(
        "SELECT (SELECT count(*) FROM captures_timelapse WHERE state <> 'completed')"
        " + (SELECT count(*) FROM captures_capture WHERE state = 'owed') + (SELECT count(*) FROM captures_gap)"
        " + (SELECT count(*) FROM media_jobs_mediajob WHERE state IN ('queued', 'running', 'waiting'))"
        " + (SELECT count(*) FROM videos_video v JOIN captures_timelapse t ON t.id = v.timelapse_id"
        "    WHERE v.follows AND v.frame_count <> t.image_count) AS left_over"
    )
    return count["left_over"] == 0


def unsettled(stack: Stack) -> str:
    """What keeps `is_settled` false, for the message of a failure."""
    jobs = stack.rows(
        "SELECT task, state, attempt, worker, error, sent_at, run_after, lease_until FROM media_jobs_mediajob"
        " WHERE state IN ('queued', 'running', 'waiting')"
    )
    owed = stack.rows(
        "SELECT id, slot, sent_at, give_up_at, lease_until FROM captures_capture WHERE state = 'owed'"
    )
    films = stack.rows(
        "SELECT v.id, v.state, v.error, v.frame_count, v.asked_image_count, t.image_count, t.state AS timelapse"
        " FROM videos_video v JOIN captures_timelapse t ON t.id = v.timelapse_id"
    )
    return f"jobs {jobs}\nowed {owed}\nfilms {films}\nended {stack.endings}"


def clocks_of_pictures(stack: Stack, rows: list[dict[str, Any]]) -> list[datetime | None]:
    return [read_clock(cv2.imread(str(stack.media / row["file"]))) for row in rows]


def clocks_of_film(path: Path) -> tuple[list[datetime | None], list[Fraction], Fraction]:
    """The clock in each frame, each frame's time in seconds, and the duration that the file states."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.time_base is not None
        assert stream.duration is not None
        clocks, times = [], []
        for frame in container.decode(stream):
            clocks.append(read_clock(frame.to_ndarray(format="bgr24")))
            times.append(frame.pts * stream.time_base)
        return clocks, times, stream.duration * stream.time_base


def assert_film_is_the_captures(stack: Stack, film: dict[str, Any], fps: int = 24) -> None:
    """The film shows each stored capture once, in order, at exact times, and says so truly in its row."""
    rows = stored(stack, film["timelapse_id"])
    clocks, times, duration = clocks_of_film(stack.media / film["file"])
    assert None not in clocks
    assert clocks == clocks_of_pictures(stack, rows)
    assert times == [Fraction(number, fps) for number in range(len(rows))]
    assert duration == Fraction(len(rows), fps)
    assert (film["frame_count"], film["omitted_count"]) == (len(rows), 0)
    assert film["duration_s"] == float(duration)
    assert film["bytes"] == (stack.media / film["file"]).stat().st_size
    assert cv2.imread(str(stack.media / film["poster"])) is not None


def assert_pictures_are_whole(stack: Stack, timelapse: int) -> None:
    """Each stored capture has its file, as its row says, a thumbnail and a small picture."""
    for row in stored(stack, timelapse):
        data = (stack.media / row["file"]).read_bytes()
        assert (row["bytes"], row["checksum"]) == (len(data), hashlib.sha256(data).hexdigest())
        for name, width, height in (("thumbnail", 200, 150), ("small", 800, 600)):
            picture = cv2.imread(str(stack.media / row[name]))
            assert picture is not None, f"capture {row['id']} has no {name}"
            assert picture.shape[0] <= height
            assert picture.shape[1] <= width
            assert picture.shape[1] == width or picture.shape[0] == height


def assert_ledger_is_whole(stack: Stack, timelapse: int, *, slots: int) -> None:
    """Every slot owed has one row with its state and, without a picture, its reason; there is no other row."""
    owed, rows = owed_slots(stack, timelapse), captures(stack, timelapse)
    assert len(owed) == slots
    assert [row["slot"] for row in rows] == owed
    assert {row["state"] for row in rows} <= STATES
    assert [
        row["id"] for row in rows if row["state"] != "stored" and not (row["reason"] and row["detail"])
    ] == []
    counts = stack.rows("SELECT image_count FROM captures_timelapse WHERE id = %s", timelapse)
    assert counts == [{"image_count": len([row for row in rows if row["state"] == "stored"])}]


def files_of_rows(stack: Stack) -> set[str]:
    """The media files that rows name, superseded films included: they stay for those who watch them."""
    names = stack.rows(
        "SELECT file FROM captures_capture UNION ALL SELECT thumbnail FROM captures_capture"
        " UNION ALL SELECT small FROM captures_capture UNION ALL SELECT file FROM videos_segment"
    )
    found = {row["file"] for row in names if row["file"]}
    for film in stack.rows("SELECT file, poster, superseded FROM videos_video WHERE revision > 0"):
        for name in (film["file"], film["poster"]):
            earlier = [f"{each['revision']:08d}{Path(name).suffix}" for each in film["superseded"]]
            found |= {name, *(str(Path(name).with_name(each)) for each in earlier)}
    return found


def files_in_media(stack: Stack) -> set[str]:
    return {str(path.relative_to(stack.media)) for path in stack.media.rglob("*") if path.is_file()}


def unfinished_files(stack: Stack) -> list[str]:
    """Files and folders in the making, which nobody may find when nothing is being made."""
    found = [
        path for path in stack.media.rglob("*") if path.parent.name == ".making" or path.suffix == ".part"
    ]
    return [str(path.relative_to(stack.media)) for path in found]


class Heard:
    """What a page's socket was told, in order."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []

    def of_type(self, type_: str) -> list[dict[str, Any]]:
        return [event["payload"] for event in self.events if event["type"] == type_]

    def read_all(self, socket: ClientConnection) -> None:
        with suppress(ConnectionClosed):
            for message in socket:
                self.events += json.loads(message).get("events", [])


@contextmanager
def listening(stack: Stack, topics: list[str]) -> Iterator[Heard]:
    """Follows `topics` through a WebSocket of its own login, as a page does, until the block is left."""
    headers = {"Cookie": stack.cookie(), "Origin": stack.url}
    address = f"ws{stack.url.removeprefix('http')}/ws/events/"
    heard = Heard()
    with connect(address, additional_headers=headers, open_timeout=30) as socket:
        socket.send(json.dumps({"follow": topics, "since": None}))
        assert json.loads(socket.recv(timeout=30))["following"] == topics
        reader = threading.Thread(target=heard.read_all, args=[socket], name="listener", daemon=True)
        reader.start()
        try:
            yield heard
        finally:
            socket.close()
            reader.join(10)


def wait_until_settled(stack: Stack, *, within_s: float) -> None:
    try:
        wait_for(lambda: is_settled(stack), within_s=within_s, what="everything to be settled", every_s=0.5)
    except AssertionError as error:
        raise AssertionError(f"{error}\n{unsettled(stack)}") from None
