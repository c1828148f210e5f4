"""Where a camera stands: its own place, else the one that is set for all; the sun and the weather ask the same."""

from datetime import timedelta

import pytest

from cameras import effective, places
from cameras.models import Camera, GlobalSettings
from cameras.places import Spot
from captures import campaign
from captures.exceptions import PlanRefused
from media_jobs import clock
from tests.campaigns import running
from tests.factories import make_camera, make_timelapse

pytestmark = pytest.mark.django_db

VIENNA, SYDNEY = (48.2082, 16.3738), (-33.8688, 151.2093)
BY_THE_SUN = {"rules": [{"kind": "sun", "event": "noon"}]}


def say(**said):
    row, _ = GlobalSettings.objects.get_or_create(pk=GlobalSettings.ONLY)
    row.said |= said
    row.save()


def say_place(place):
    say(latitude=place[0], longitude=place[1])


def places_of(timelapse):
    return [
        (version.timetable.place.latitude, version.timetable.place.longitude)
        for version in timelapse.schedules.order_by("from_at", "pk")
    ]


def test_a_camera_stands_at_its_own_place_else_at_that_of_all():
    own, none = make_camera(latitude=1.0, longitude=2.0), make_camera()
    assert places.spot_of(own) == Spot(1.0, 2.0)
    assert places.spot_of(none) is None
    say(latitude=48.2082)
    assert places.spot_of(none) is None  # half a place is none
    say_place(VIENNA)
    assert places.spot_of(own) == Spot(1.0, 2.0)
    assert places.spot_of(none) == Spot(*VIENNA)
    assert places.spot_of(none, effective.of_camera(none).settings) == Spot(*VIENNA)


@pytest.mark.parametrize(
    ("spot", "key"),
    [
        (Spot(*VIENNA), "48.21,16.37"),
        (Spot(-0.001, 0.0), "0.00,0.00"),
        (Spot(-33.8688, -179.999), "-33.87,-180.00"),
    ],
)
def test_places_are_shared_by_the_kilometre(spot, key):
    assert spot.key == key
    assert Spot.of_key(key).key == key


def test_the_sun_follows_the_place_of_all_frozen_into_each_version():
    with pytest.raises(PlanRefused):
        campaign.start(make_timelapse(plan=BY_THE_SUN), by="otto")
    say_place(VIENNA)
    timelapse = running(plan=BY_THE_SUN)
    placed = running(plan=BY_THE_SUN, camera=make_camera(latitude=1.0, longitude=2.0))
    plain = running()
    noon = timelapse.next_slot_at
    assert campaign.follow_cameras() == 0
    say_place(SYDNEY)
    assert campaign.follow_cameras() == 1
    timelapse.refresh_from_db()
    assert places_of(timelapse) == [VIENNA, SYDNEY]
    assert abs((timelapse.next_slot_at - noon) % timedelta(days=1) - timedelta(hours=15)) < timedelta(hours=1)
    assert (placed.schedules.count(), plain.schedules.count()) == (1, 1)
    assert campaign.follow_cameras() == 0
    Camera.objects.filter(pk=timelapse.camera_id).update(latitude=10.0, longitude=20.0)
    assert campaign.follow_cameras() == 1  # its own place goes first from now on
    Camera.objects.filter(pk=timelapse.camera_id).update(latitude=None, longitude=None)
    assert campaign.follow_cameras() == 1
    assert places_of(timelapse) == [VIENNA, SYDNEY, (10.0, 20.0), SYDNEY]
    GlobalSettings.objects.all().delete()
    assert campaign.follow_cameras() == 0  # the timetable that was in force stays
    assert clock.now() < timelapse.next_slot_at


def test_a_form_asks_for_no_place_where_all_cameras_have_one(admin, pages):
    address = f"/cameras/{make_camera().pk}/start/"
    assert 'name="latitude"' in pages(admin).get(address).content.decode()
    say_place(VIENNA)
    assert 'name="latitude"' not in pages(admin).get(address).content.decode()
