"""What lies under a mask reaches no file, row, event, message or line of a log: looked for in all of them.

The cameras see a loud magenta where the mask lies, in a grey world, and their JPEGs carry it a second time, in an
embedded thumbnail and behind their end, with words. The same is done without masks: then all of it must be found.
"""

import base64
import io
import json
import logging
import re
from datetime import UTC, datetime, timedelta

import av
import cv2
import numpy as np
import pytest
from django.apps import apps
from django.core.serializers.json import DjangoJSONEncoder
from PIL import Image

from cameras import connection, hiding, shots
from cameras.geometry import Geometry
from captures import filing, ingest, quarantine
from captures.imaging.quality.past import Past
from captures.models import CameraPast, Capture
from media_jobs import clock
from media_jobs.models import MediaJob
from tests.campaigns import running
from tests.factories import make_camera, make_capture, make_recipe, make_video
from timelapser.demo.background import InBackground
from timelapser.demo.feed import Feed, encode_jpeg
from timelapser.demo.http_camera import HttpCamera, send_answer
from timelapser.demo.rtsp_server import Mount, RtspServer
from timelapser.demo.scene import Scene
from videos import rendering

pytestmark = [pytest.mark.django_db(transaction=True)]
WIDTH, HEIGHT = 480, 272
LEFT, TOP, RIGHT, BOTTOM = 160, 64, 320, 192  # multiples of 16: what the cameras encode bleeds no further
MASK = [[x / WIDTH, y / HEIGHT] for x, y in ((LEFT, TOP), (RIGHT, TOP), (RIGHT, BOTTOM), (LEFT, BOTTOM))]
MASKED = {"masks": [MASK], "rotate": 90, "crop": {"x": 0.1, "y": 0, "width": 0.8, "height": 1}}
UNMASKED = {name: value for name, value in MASKED.items() if name != "masks"}
WORDS = b"the neighbour at number eleven"
MAGENTA = (255, 0, 255)
JPEG = re.compile(rb"ffd8ff[0-9a-f]{6}(4a464946|45786966)|/9j/4")  # JFIF or Exif
DAYLIGHT = datetime(2026, 5, 4, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def seen(moment, *, is_torn=False):
    """(HEIGHT, WIDTH, 3): grey houses that change with the time, and the secret in the middle."""
    noon = DAYLIGHT + timedelta(seconds=moment.timestamp() % 10)  # a whole day of the scene takes minutes
    grey = cv2.cvtColor(Scene(WIDTH, HEIGHT).draw(noon), cv2.COLOR_BGR2GRAY)
    pixels = cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR)
    pixels[TOP:BOTTOM, LEFT:RIGHT] = MAGENTA
    if is_torn:
        pixels[BOTTOM - 16 :] = 128  # what decoders leave where no data came
    return pixels


def snapshot(moment, *, is_torn=False):
    """A camera's own JPEG, with a thumbnail and words in its EXIF, and once more behind its end."""
    exif = Image.Exif()
    exif[0x010E] = WORDS.decode()
    small = io.BytesIO()
    Image.new("RGB", (40, 30), MAGENTA).save(small, "JPEG", comment=WORDS)
    whole = io.BytesIO()
    pixels = cv2.cvtColor(seen(moment, is_torn=is_torn), cv2.COLOR_BGR2RGB)
    Image.fromarray(pixels).save(whole, "JPEG", quality=92, exif=exif.tobytes() + small.getvalue())
    return whole.getvalue() + small.getvalue()


class Neighbourhood(Scene):
    def draw(self, moment):
        return seen(moment)


@pytest.fixture(scope="module")
def cameras():
    """Addresses by kind: /good.jpg, /bad.jpg, and a stream."""
    web = HttpCamera(Scene(WIDTH, HEIGHT))

    def route(**kw):
        async def answer(request, writer):
            await send_answer(writer, 200, snapshot(datetime.now(UTC), **kw), "image/jpeg")

        return answer

    web.routes |= {"/good.jpg": route(), "/bad.jpg": route(is_torn=True)}
    stream = RtspServer({"/live": Mount(Feed(Neighbourhood(WIDTH, HEIGHT)))})
    with InBackground(web), InBackground(stream):
        yield {
            "http": web.address("/good.jpg"),
            "bad": web.address("/bad.jpg"),
            "rtsp": stream.address("/live"),
        }


@pytest.fixture(autouse=True)
def _loopback(settings, tmp_path):
    settings.ALLOW_LOOPBACK_CAMERAS = True
    settings.MIN_FREE_BYTES = 0
    (tmp_path / "uploads").mkdir()
    settings.CAMERA_FOLDERS = [tmp_path / "uploads"]


def take(timelapse):
    now = clock.now()
    capture = make_capture(timelapse=timelapse, slot=now, give_up_at=now + 30 * SECOND, origin="person")
    ingest.take(capture.pk, worker="w1")
    capture.refresh_from_db()
    return capture


def live(cameras, folder, geometry, broker):
    """Everything that is done with cameras' pictures, once."""
    (folder / "picture.jpg").write_bytes(snapshot(datetime.now(UTC)))
    said = {"keep_original": True, "quality_heavy": True, "quality_threshold": 40}
    kept = [
        running(
            camera=make_camera(kind=kind, address=address, geometry=geometry, said=said), interval_s=3600
        )
        for kind, address in (
            ("http", cameras["http"]), ("rtsp", cameras["rtsp"]), ("files", str(folder)),
        )
    ]  # fmt: skip
    for timelapse in kept:
        assert [take(timelapse).state for _ in range(2)] == ["stored"] * 2
    give_up_on_the_torn_one(cameras, geometry)
    broker.work_off("thumbnail")
    video = make_video(timelapse=kept[0], recipe=make_recipe(fps=10, quality="high"))
    rendering.request(video, by="otto")
    test_the_cameras(kept, geometry)
    broker.work_off("capture", "video", "thumbnail")
    assert set(MediaJob.objects.values_list("state", flat=True)) == {"done"}


def give_up_on_the_torn_one(cameras, geometry):
    """Taken twice and put into quarantine; one of them is restored."""
    said = {"quality_discard": True, "quality_threshold": 100, "keep_original": True}
    camera = make_camera(kind="http", address=cameras["bad"], geometry=geometry, said=said)
    timelapse = running(camera=camera, interval_s=3600)
    assert [take(timelapse).state for _ in range(2)] == ["discarded"] * 2
    quarantine.restore(timelapse.captures.discarded().first(), by="otto")


def test_the_cameras(kept, geometry):
    for timelapse in kept:
        connection.request_camera_test(timelapse.camera, by="otto")
        shots.request(timelapse.camera, Geometry(rotate=180), by="otto")
    unsaved = {
        "kind": "http",
        "address": kept[0].camera.address,
        "transport": "tcp",
        "username": "",
        "password": "",
    }
    connection.request_test(**unsaved, verify_tls=True, connect_timeout_s=2, deadline_s=5, by="otto")


test_the_cameras.__test__ = False


def leaks(root, log):
    """Where the secret is: sorts of files and rows, and "log"."""
    found = {path.relative_to(root) for path in root.rglob("*") if path.is_file() and shows(path)}
    sorts = {sort_of(name) for name in found}
    for model in apps.get_models(include_auto_created=True):
        for row in model.objects.values():
            if says(json.dumps(row, cls=Encoder).encode()):
                sorts.add(f"row of {model.__name__}")
    sorts |= {"past" for row in CameraPast.objects.all() if remembers(row)}
    return sorts | ({"log"} if says(log.encode()) else set())


class Encoder(DjangoJSONEncoder):
    def default(self, o):
        return bytes(o).hex() if isinstance(o, bytes | memoryview) else super().default(o)


def says(data):
    """Whether a text holds the words, or a JPEG, as they are, in hexadecimal digits or in base 64."""
    return WORDS in data or WORDS.hex().encode() in data or JPEG.search(data) is not None


def shows(path):
    data = path.read_bytes()
    if WORDS in data:
        return True
    if path.suffix == ".mp4":
        with av.open(str(path)) as film:
            return any(is_loud(frame.to_ndarray(format="bgr24")) for frame in film.decode(video=0))
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    return pixels is None or is_loud(pixels)  # what cannot be looked at is no picture of ours


def is_loud(pixels):
    """Whether anything in it has a colour like the secret's: the rest of the world is grey."""
    blue, green, red = (pixels[..., channel].astype(int) for channel in range(3))
    return bool((np.minimum(blue, red) - green > 60).any())


def views_of(row):
    past = Past.from_bytes(bytes(row.remembered)[16:])
    views = [past.previous, *(reference.view for reference in past.references.values())]
    return [view for view in views if view is not None]


def remembers(row):
    views = views_of(row)
    inside = [
        view[round((TOP + 20) / HEIGHT * view.shape[0]) : round((BOTTOM - 20) / HEIGHT * view.shape[0]),
             round((LEFT + 20) / WIDTH * view.shape[1]) : round((RIGHT - 20) / WIDTH * view.shape[1])]
        for view in views
    ]  # fmt: skip
    return any(part.max() > 20 for part in inside)


def sort_of(name):
    parts = name.parts
    if parts[0] == hiding.PREVIEWS:
        return hiding.BEFORE if name.stem.endswith(f"-{hiding.BEFORE}") else hiding.PREVIEW
    sort = next(part for part in parts if part in SORTS)
    return "poster" if sort == "videos" and name.suffix == ".jpg" else sort


SORTS = {filing.FRAMES, filing.ORIGINALS, filing.QUARANTINE, "thumbnails", "smalls", "segments", "videos"}


@pytest.mark.parametrize("is_masked", [True, False], ids=["masked", "unmasked"])
def test_nothing_shows_what_a_mask_hides(is_masked, cameras, settings, tmp_path, broker, caplog):
    caplog.set_level(logging.DEBUG)

    live(cameras, tmp_path / "uploads", MASKED if is_masked else UNMASKED, broker)

    pictures = SORTS | {hiding.PREVIEW, hiding.BEFORE, "poster", "past"}
    assert leaks(settings.MEDIA_ROOT, caplog.text) == (set() if is_masked else pictures)
    stored = [
        path.relative_to(settings.MEDIA_ROOT) for path in settings.MEDIA_ROOT.rglob("*") if path.is_file()
    ]
    assert {sort_of(name) for name in stored} == pictures - {"past"} - (
        {filing.ORIGINALS} if is_masked else set()
    )
    assert any(views_of(row) for row in CameraPast.objects.all())
    assert Capture.objects.exclude(original="").exists() is not is_masked


def test_mask_that_cannot_be_read_stores_nothing(cameras, settings):
    camera = make_camera(kind="http", address=cameras["http"], geometry={"masks": "all of it"})
    capture = take(running(camera=camera, interval_s=3600))

    assert (capture.state, capture.reason) == ("failed", "geometry_unreadable")
    assert not list(settings.MEDIA_ROOT.rglob("*.*"))


def test_mask_that_cannot_be_read_is_told_and_drawn_anew(api, admin):
    camera = make_camera(geometry={"masks": "all of it"})
    address = f"/api/v1/cameras/{camera.pk}/geometry/"

    told = api(admin).get(address)
    drawn = api(admin).put(address, {"rotate": 90}, format="json")

    assert (told.status_code, told.json()["code"]) == (409, "geometry_unreadable")
    assert (drawn.status_code, drawn.json()["rotate"]) == (200, 90)


def test_cameras_give_what_is_looked_for_and_it_would_be_found():
    data = snapshot(DAYLIGHT)
    grey = encode_jpeg(np.full((64, 64, 3), 90, np.uint8))

    assert data.count(WORDS) == 3
    assert is_loud(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR))
    assert not is_loud(
        cv2.imdecode(np.frombuffer(encode_jpeg(np.full((64, 64, 3), 90, np.uint8)), np.uint8), 1)
    )
    assert says(json.dumps({"remembered": data[:200]}, cls=Encoder).encode())
    assert says(base64.b64encode(grey))
