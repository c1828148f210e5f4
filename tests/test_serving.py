import asyncio
from dataclasses import replace

import httpx
import pytest
from asgiref.sync import sync_to_async
from django.db import connections
from django.test import RequestFactory
from django.urls import reverse

from captures import derivatives
from captures.imaging.thumbnails import Box
from captures.models import Capture
from captures.pictures import address as address_of
from media_jobs import files
from media_jobs.serving import CHUNK_BYTES, serve
from tests.factories import make_job, make_jpeg, make_stored_capture, make_user, make_video
from videos.revisions import revision_file

DATA = bytes(range(256)) * 40
TAG = '"abc"'


@pytest.fixture
async def http():
    """The application as the server has it; it looks for the static files when it is imported."""
    from timelapser import asgi

    yield asgi.http
    await sync_to_async(connections.close_all)()  # of the thread that stands in for a request's


@pytest.fixture
def answer(settings, db):  # closing an answer looks after the database's connection, too
    """A function: the answer to a request for a stored file of 10,240 bytes."""
    files.write("a/film.mp4", DATA)

    def ask(method="GET", **headers):
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        request = RequestFactory().generic(method, "/", headers=fields)
        response = serve(request, "a/film.mp4", content_type="video/mp4", etag="abc")
        response.body = b"".join(response.streaming_content) if response.streaming else response.content
        response.close()
        return response

    return ask


def test_whole_file_with_its_headers(answer):
    found = answer()

    assert (found.status_code, found.body) == (200, DATA)
    assert (found["ETag"], found["Content-Length"], found["Accept-Ranges"]) == (TAG, "10240", "bytes")
    assert found["Content-Type"] == "video/mp4"
    assert found["Cache-Control"] == "private, max-age=31536000, immutable"


@pytest.mark.parametrize(
    ("wanted", "start", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=0-99", 0, 100),
        ("bytes=5000-5009", 5000, 5010),
        ("bytes=10000-", 10000, 10240),
        ("bytes=10000-99999", 10000, 10240),
        ("bytes=-7", 10233, 10240),
        ("bytes=-99999", 0, 10240),
    ],
)
def test_one_range(answer, wanted, start, end):
    found = answer(Range=wanted)

    assert (found.status_code, found.body) == (206, DATA[start:end])
    assert found["Content-Range"] == f"bytes {start}-{end - 1}/10240"
    assert found["Content-Length"] == str(end - start)


@pytest.mark.parametrize(
    "wanted",
    ["bytes=0-1,5-6", "bytes=9-3", "bytes=-", "bytes=a-b", "lines=1-2", "bytes=1", "", "bytes=٣-٤"],
)
def test_several_ranges_and_nonsense_give_the_whole(answer, wanted):
    assert (answer(Range=wanted).status_code, answer(Range=wanted).body) == (200, DATA)


@pytest.mark.parametrize("wanted", ["bytes=0-{}", "bytes={}-", "bytes=-{}"])
def test_numbers_that_no_file_has_give_the_whole(answer, wanted):
    assert answer(Range=wanted.format("9" * 5000)).status_code == 200


@pytest.mark.parametrize("wanted", ["bytes=10240-", "bytes=99999-100000", "bytes=-0"])
def test_range_beyond_the_end(answer, wanted):
    found = answer(Range=wanted)
    assert (found.status_code, found["Content-Range"], found.body) == (416, "bytes */10240", b"")


@pytest.mark.parametrize(("condition", "status"), [(TAG, 206), ('"old"', 200), (f"W/{TAG}", 200)])
def test_range_only_of_the_version_that_is_known(answer, condition, status):
    assert answer(Range="bytes=0-9", If_Range=condition).status_code == status


@pytest.mark.parametrize("known", [TAG, f"W/{TAG}", f'"x", {TAG}', "*"])
def test_known_version_is_not_sent_again(answer, known):
    found = answer(If_None_Match=known)
    assert (found.status_code, found.body, found["ETag"]) == (304, b"", TAG)


def test_other_version_is_sent(answer):
    assert answer(If_None_Match='"old"').status_code == 200


def test_head_says_all_and_sends_nothing(answer):
    found = answer("HEAD", Range="bytes=0-9")
    assert (found.status_code, found.body, found["Content-Length"]) == (200, b"", "10240")


# --- through the site ---


def film(data=b"film " * 100_000):
    video = make_video(revision=2)
    files.write(revision_file(video, 2, "mp4"), data)
    return reverse("video-film", args=[video.pk, 2])


def test_logged_out_people_are_led_to_the_login(db, pages):
    capture = make_stored_capture()
    job = make_job(result={"preview": "previews/x.jpg"})
    for address in (
        film(),
        reverse("capture-picture", args=[capture.pk, "full"]),
        reverse("job-preview", args=[job.pk]),
    ):
        found = pages().get(address)
        assert (found.status_code, found.url.startswith("/login")) == (302, True)


def test_people_without_a_role_are_refused(db, pages):
    capture = make_stored_capture()
    stranger = pages(make_user())
    for address in (film(), reverse("capture-picture", args=[capture.pk, "full"])):
        assert stranger.get(address).status_code == 403


def fetch(client, address, **kw):
    """The answer, read, and its file closed; closing all of it would close the test's connection, too."""
    found = client.get(address, **kw)
    found.body = found.getvalue()
    for close in found._resource_closers:
        close()
    return found


def shown(client, capture, size):
    return fetch(client, reverse("capture-picture", args=[capture.pk, size]))


def test_picture_falls_back_to_what_is_there_and_is_then_not_kept(viewer, pages):
    capture = make_stored_capture()
    client = pages(viewer)

    def bodies():
        return [shown(client, capture, size).body for size in ("thumbnail", "small", "full")]

    frame = files.read(capture.file)
    only_the_frame = bodies()
    files.write("t.jpg", b"thumbnail")
    Capture.objects.filter(pk=capture.pk).update(thumbnail="t.jpg")
    without_small = bodies()
    files.write("s.jpg", b"small")
    Capture.objects.filter(pk=capture.pk).update(small="s.jpg")
    all_there = bodies()
    files.delete(capture.file, "t.jpg")  # gone behind the row's back
    without_files = bodies()

    assert only_the_frame == [frame] * 3
    assert without_small == [b"thumbnail", b"thumbnail", frame]
    assert all_there == [b"thumbnail", b"small", frame]
    assert without_files == [b"small"] * 3
    assert "immutable" not in shown(client, capture, "full")["Cache-Control"]


@pytest.mark.parametrize("size", ["thumbnail", "small", "full"])
def test_only_an_address_with_its_version_is_kept_for_ever(viewer, pages, size):
    capture = make_stored_capture(thumbnail="t-0123456789ab.jpg", small="s.jpg")
    files.write(capture.thumbnail, b"thumbnail")
    files.write(capture.small, b"small")
    client, plain = pages(viewer), reverse("capture-picture", args=[capture.pk, size])
    versioned = address_of(capture, size)

    kept = fetch(client, versioned)
    unchanged = fetch(client, versioned, headers={"If-None-Match": kept["ETag"]})
    head = client.head(versioned)

    assert versioned.startswith(f"{plain}?v=")
    assert kept["Cache-Control"] == "private, max-age=31536000, immutable"
    for other in (plain, f"{plain}?v=old"):
        assert fetch(client, other)["Cache-Control"] == "private, max-age=0, must-revalidate"
    assert (unchanged.status_code, head.status_code, head.content) == (304, 200, b"")
    assert (head["ETag"], head["Content-Length"]) == (kept["ETag"], str(len(kept.body)))


def test_what_is_made_anew_has_another_address_and_another_etag(viewer, pages):
    capture = make_stored_capture(make_jpeg(400, 300))
    wanted = derivatives.wanted_of(capture.timelapse)
    derivatives.derive(capture, wanted)
    before, tag = (
        address_of(capture, "thumbnail"),
        fetch(pages(viewer), address_of(capture, "thumbnail"))["ETag"],
    )

    derivatives.derive(capture, replace(wanted, thumbnail=Box(100, 100, 50)))

    again = fetch(pages(viewer), before)
    assert address_of(capture, "thumbnail") != before
    assert again["ETag"] != tag
    assert "immutable" not in again["Cache-Control"]


def test_of_a_picture_that_is_gone_there_is_a_drawing(viewer, pages):
    capture = make_stored_capture(thumbnail="t.jpg")
    files.delete(capture.file)
    client = pages(viewer)

    for size in ("thumbnail", "small", "full"):
        found = shown(client, capture, size)
        assert (found.status_code, found["Content-Type"]) == (404, "image/svg+xml")
        assert (b"<svg" in found.body, found["Cache-Control"]) == (True, "private, no-store")
    download = client.get(reverse("capture-picture", args=[capture.pk, "full"]) + "?download=1")
    assert (download.status_code, download["Content-Type"][:9]) == (404, "text/html")


def test_what_is_not_there_is_404(viewer, pages):
    capture = make_stored_capture()
    files.delete(capture.file)
    client = pages(viewer)

    for address in (
        reverse("capture-picture", args=[capture.pk, "full"]),
        reverse("capture-picture", args=[capture.pk, "huge"]),
        reverse("capture-picture", args=[10**9, "full"]),
        reverse("video-film", args=[make_video(revision=2).pk, 3]),
        reverse("video-film", args=[make_video(revision=2).pk, 0]),
        reverse("job-preview", args=[make_job().pk]),
    ):
        assert client.get(address).status_code == 404


def test_download_has_a_name(viewer, pages):
    address = film()
    found = pages(viewer).get(f"{address}?download=1")
    assert found["Content-Disposition"].startswith("attachment; filename=")
    found.close()


@pytest.mark.django_db(transaction=True)
async def test_asgi_streams_in_chunks(pages, http):
    """The server's own interface: what is sent, message by message."""
    data = b"0123456789" * 100_000
    address, cookie = await sync_to_async(_logged_in)(pages, data)
    sent = []
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "path": address,
        "raw_path": address.encode(),
        "query_string": b"",
        "headers": [(b"host", b"localhost"), (b"cookie", cookie.encode())],
        "client": ("127.0.0.1", 1),
        "server": ("localhost", 80),
        "scheme": "http",
        "root_path": "",
    }
    asked = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive():
        if asked:
            return asked.pop()
        await asyncio.Event().wait()
        return None

    async def send(message):
        sent.append(message)

    await http(scope, receive, send)

    bodies = [message.get("body", b"") for message in sent if message["type"] == "http.response.body"]
    assert sent[0]["status"] == 200
    assert b"".join(bodies) == data
    assert max(map(len, bodies)) <= CHUNK_BYTES
    assert len([body for body in bodies if body]) >= 4


@pytest.mark.django_db(transaction=True)
async def test_asgi_answers_a_range(pages, http):
    address, cookie = await sync_to_async(_logged_in)(pages, DATA)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(http), base_url="http://localhost", headers={"cookie": cookie}
    ) as client:
        found = await client.get(address, headers={"Range": "bytes=100-199"})

    assert (found.status_code, found.content) == (206, DATA[100:200])


def _logged_in(pages, data):
    client = pages(make_user("vera", role="viewer"))
    return film(data=data), f"sessionid={client.cookies['sessionid'].value}"
