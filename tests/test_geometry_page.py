"""The editor of a camera's geometry by its fields alone, as it works without JavaScript."""

import re

import pytest
from django.http import QueryDict

from cameras import shots
from cameras.geometry import Geometry
from media_jobs.models import MediaJob
from tests.factories import make_camera
from timelapser.pages.geometry_form import GeometryForm

WHOLE = {
    "rotate": 90,
    "flip": {"horizontal": False, "vertical": True},
    "crop": {"x": 0.125, "y": 0.0, "width": 0.5, "height": 0.333333},
    "aspect": {"ratio": "3:2", "mode": "letterbox"},
    "masks": [[[0.1, 0.2], [0.4, 0.2], [0.4, 0.654321]], [[0.0, 0.0], [1.0, 0.0], [0.5, 1.0]]],
}
FIELDS = {
    "rotate": "0", "crop_x": "0", "crop_y": "0", "crop_width": "100", "crop_height": "100", "ratio": "",
    "own_ratio": "", "mode": "crop", "mask": [""],
}  # fmt: skip


def sent(**fields):
    data = QueryDict(mutable=True)
    for name, value in (FIELDS | fields).items():
        data.setlist(name, value if isinstance(value, list) else [value])
    return dict(data.lists())


def fields_of(html):
    """What a browser would send of the page's form, buttons aside."""
    data = QueryDict(mutable=True)
    form = html[html.index('id="geometry"') :]
    for tag in re.findall(r"<input[^>]*>", form[: form.index("</form>")]):
        told = dict(re.findall(r'([\w-]+)="([^"]*)"', tag))
        if told.get("type") in ("radio", "checkbox") and " checked" not in tag:
            continue
        data.appendlist(told["name"], told.get("value", "on" if told.get("type") == "checkbox" else ""))
    for name, options in re.findall(r'<select name="(\w+)"(.*?)</select>', form, re.DOTALL):
        data[name] = re.search(r'value="([^"]*)" selected', options).group(1)
    return dict(data.lists())


def test_form_shows_a_geometry_and_gives_it_back(admin, pages):
    camera = make_camera(geometry=WHOLE)
    client, address = pages(admin), f"/cameras/{camera.pk}/geometry/"

    shown = fields_of(client.get(address).content.decode())
    answer = client.post(address, shown, follow=True)

    assert "It was like this already." in answer.content.decode()
    camera.refresh_from_db()
    assert camera.geometry == WHOLE


def test_geometry_is_saved_and_the_page_asks_for_a_new_shot(admin, pages):
    camera = make_camera()
    client, address = pages(admin), f"/cameras/{camera.pk}/geometry/"

    answer = client.post(address, sent(mask=["10 20,40 20; 40 60", " ", "0 0 100 0 50 100"], rotate="180"))

    camera.refresh_from_db()
    assert camera.geometry == {
        "rotate": 180,
        "masks": [[[0.1, 0.2], [0.4, 0.2], [0.4, 0.6]], [[0.0, 0.0], [1.0, 0.0], [0.5, 1.0]]],
    }
    job = MediaJob.objects.get(task=shots.TASK)
    assert (job.args, job.requested_by) == ({"camera": camera.pk, "geometry": camera.geometry}, "ada")
    assert answer["Location"] == f"{address}?shot={job.pk}"
    assert "Reaching for the camera" in client.get(answer["Location"]).content.decode()

    answer = client.post(address, sent(mask=["10 20,40 20; 40 60", "0 0 100 0 50 100"]))
    assert answer["Location"] == address
    answer = client.post(address, sent(rotate="90", reset="1"))
    assert "Nothing is saved yet" in answer.content.decode()
    camera.refresh_from_db()
    assert list(camera.geometry) == ["masks"]


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"rotate": "45"}, ["rotate"]),
        ({"crop_x": "60", "crop_width": "50"}, ["crop_width"]),
        ({"crop_y": "", "crop_height": "nan"}, ["crop_height", "crop_y"]),
        ({"ratio": "own", "own_ratio": "9:1"}, ["own_ratio"]),
        ({"mask": ["", "10 20 30"]}, ["__all__"]),
        ({"mask": ["10 20, 30 40", "0 0 1 1 101 5"]}, ["__all__"]),
        ({"mask": ["0 0 1 1 1 0"] * 21}, ["__all__"]),
    ],
)
def test_what_cannot_be_carried_out_is_told_at_its_field(fields, wrong):
    data = QueryDict(mutable=True)
    for name, values in sent(**fields).items():
        data.setlist(name, values)
    form = GeometryForm(data)

    assert not form.is_valid()
    assert sorted(form.errors) == wrong
    assert len(form.mask_errors) == (0 if len(fields.get("mask", [])) != 2 else 2 - ("" in fields["mask"]))
    assert form.geometry == Geometry()


def test_shot_of_what_the_form_holds_is_asked_for(admin, pages, operator):
    camera = make_camera()
    client, address = pages(admin), f"/cameras/{camera.pk}/geometry/"

    page = client.post(address, sent(shot="1", rotate="90")).content.decode()
    job = MediaJob.objects.get(task=shots.TASK)
    assert job.args["geometry"] == {"rotate": 90}
    assert f'name="look" value="{job.pk}"' in page
    assert 'value="90" id="id_rotate_1" required checked' in page
    part = client.post(address, sent(shot="1", crop_x="x"), headers={"HX-Request": "true"}).content.decode()
    assert "This cannot be tried out" in part
    assert "<html" not in part
    assert client.post(address, sent(shot="1", crop_x="x")).status_code == 422
    assert MediaJob.objects.count() == 1
    assert pages(operator).get(address).status_code == 403
    camera.refresh_from_db()
    assert camera.geometry == {}


def test_what_cannot_be_read_is_drawn_anew(admin, pages):
    camera = make_camera(geometry={"masks": 5})
    client, address = pages(admin), f"/cameras/{camera.pk}/geometry/"

    assert "What is saved cannot be read" in client.get(address).content.decode()
    client.post(address, sent(mask=["10 20, 40 20, 40 60"]))
    camera.refresh_from_db()
    assert camera.geometry == {"masks": [[[0.1, 0.2], [0.4, 0.2], [0.4, 0.6]]]}
