"""A camera's geometry is changed: by the API, with word and audit, and with what must be forgotten."""

import json

import av
import pytest
from django.conf import settings as django_settings

from cameras import hiding
from cameras.geometry import Geometry, GeometryRefused
from cameras.models import Camera
from captures import framing
from captures.models import CameraPast
from media_jobs import clock, files
from media_jobs.models import Decision, Event
from tests.factories import make_camera, make_job
from tests.films import film_of, photographed, render
from tests.test_api_fuzz import BODIES, NONSENSE, is_fine, places_in, with_nonsense

MASK = [[0.1, 0.1], [0.5, 0.1], [0.5, 0.6]]
WHOLE = {
    "masks": [MASK],
    "crop": {"x": 0.1, "y": 0.0, "width": 0.5, "height": 0.5},
    "rotate": 90,
    "flip": {"horizontal": False, "vertical": True},
    "aspect": {"ratio": "16:9", "mode": "letterbox"},
}
NOTHING = {
    "masks": [],
    "crop": None,
    "rotate": 0,
    "flip": {"horizontal": False, "vertical": False},
    "aspect": None,
}


def kept_preview(topic):
    job = make_job(topic=topic)
    name = f"{hiding.PREVIEWS}/{job.pk}.jpg"
    files.write(name, b"x")
    return name


def test_geometry_is_read_put_and_removed(admin, api):
    camera = make_camera()
    client, address = api(admin), f"/api/v1/cameras/{camera.pk}/geometry/"

    assert client.get(address).json() == NOTHING
    answer = client.put(address, WHOLE)
    assert (answer.status_code, answer.json()) == (200, WHOLE)
    assert client.get(address).json() == WHOLE
    assert client.get(f"/api/v1/cameras/{camera.pk}/").json()["geometry"] == WHOLE
    assert client.put(address, client.get(address).json()).json() == WHOLE
    assert client.delete(address).status_code == 204
    assert client.get(address).json() == NOTHING
    assert Camera.objects.get().geometry == {}
    told = list(Decision.objects.filter(action="camera_updated").values_list("facts__changed", "by"))
    assert told == [(["geometry", "masks"], "ada")] * 2
    assert Event.objects.filter(type="camera_updated", topic=camera.topic).count() == 2


def test_what_cannot_be_carried_out_is_refused_at_its_field(admin, api):
    camera = make_camera(geometry=WHOLE)
    address = f"/api/v1/cameras/{camera.pk}/geometry/"

    answer = api(admin).put(address, WHOLE | {"rotate": 45, "masks": [MASK, MASK[:2]]})
    assert (answer.status_code, sorted(answer.json()["errors"])) == (400, ["masks.1", "rotate"])
    answer = api(admin).post(f"{address}test/", {"geometry": {"crop": {"x": 2}}})
    assert "geometry.crop.x" in answer.json()["errors"]
    assert Camera.objects.get().geometry == WHOLE


def test_nonsense_in_a_geometry_is_told(admin, api):
    client, address = api(admin), f"/api/v1/cameras/{make_camera().pk}/geometry/"

    for nonsense in NONSENSE.values():
        for path in places_in(WHOLE):
            document = with_nonsense(WHOLE, path, nonsense)
            try:
                Geometry.from_document(document)
            except GeometryRefused:
                continue
            answer = client.put(address, json.dumps(document), content_type="application/json")
            assert is_fine(answer), (path, nonsense, answer.content)
    unknown = '{"\\ud800": 1, "a.b": null}'
    for body in [*BODIES.values(), unknown]:
        for method, door in ((client.put, address), (client.post, f"{address}test/")):
            assert is_fine(method(door, body, content_type="application/json")), body


@pytest.mark.django_db(transaction=True)
def test_with_other_masks_what_showed_too_much_is_forgotten():
    camera, other = make_camera(), make_camera()
    own, unsaved, others = (kept_preview(topic) for topic in (camera.topic, "camera.new", other.topic))
    files.write(f"{hiding.PREVIEWS}/of nobody.jpg", b"x")
    for row in (camera, other):
        CameraPast.objects.create(camera=row, remembered=b"x", updated_at=clock.now())

    assert framing.set_geometry(camera, Geometry(rotate=90), by="ada")
    assert all(map(files.exists, (own, unsaved, others)))
    assert CameraPast.objects.count() == 2

    assert framing.set_geometry(camera, Geometry.from_document({"rotate": 90, "masks": [MASK]}), by="ada")
    assert not framing.set_geometry(camera, Geometry.from_document({"rotate": 90, "masks": [MASK]}), by="ada")
    assert files.names_in(hiding.PREVIEWS) == [others.rpartition("/")[2]]
    assert list(CameraPast.objects.values_list("camera", flat=True)) == [other.pk]


@pytest.mark.django_db(transaction=True)
def test_film_goes_on_across_a_change_of_the_pictures_shape(broker):
    timelapse = photographed(2, size=(192, 108))
    photographed(2, first=2, timelapse=timelapse, size=(108, 192))

    video = film_of(timelapse)
    job = render(video, broker)

    assert job.state == "done", job.error
    assert (video.frame_count, video.omitted_count, video.width, video.height) == (4, 0, 192, 108)
    with av.open(str(django_settings.MEDIA_ROOT / video.file)) as film:
        frames = [frame.to_ndarray(format="gray") for frame in film.decode(video=0)]
    edges = [int(frame[:, :40].max()) for frame in frames]
    assert [edge < 30 for edge in edges] == [False, False, True, True]  # bars beside what is upright
