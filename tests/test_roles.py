"""One ladder of roles: the pages and the API let the same people do the same deed."""

import pytest
from django.urls import get_resolver

from media_jobs.models import MediaJob
from tests.factories import make_job, make_timelapse, make_user, make_video

pytestmark = [pytest.mark.django_db, pytest.mark.any_database]

# A deed by its page (name, the thing, further words) and by the API (method, name, the thing).
DEEDS = {
    "add a camera": (("camera-add", None), ("post", "camera-list", None)),
    "change a camera": (("camera-edit", "camera"), ("patch", "camera-detail", "camera")),
    "test a camera": (("camera-test", "camera"), ("post", "camera-test", "camera")),
    "make a timelapse": (("timelapse-start", "camera"), ("post", "timelapse-list", None)),
    "change a timelapse": (("timelapse-edit", "timelapse"), ("patch", "timelapse-detail", "timelapse")),
    "take a picture": (("capture-now", "timelapse"), ("post", "camera-capture-now", "camera")),
    "cancel its work": (
        ("timelapse-cancel-work", "timelapse"),
        ("post", "timelapse-cancel-work", "timelapse"),
    ),
    "make thumbnails": (("timelapse-thumbnails", "timelapse"), ("post", "timelapse-thumbnails", "timelapse")),
    "make a film": (("film-add", "timelapse"), ("post", "video-list", None)),
    "render a film": (("film-render", "video"), ("post", "video-render", "video")),
    "cancel a job": (("job-cancel", "job"), ("post", "job-cancel", "job")),
    "do a job again": (("job-retry", "job"), ("post", "job-retry", "job")),
    "run an entry": (("entry-run", "task"), ("post", "clock-run", "task")),
} | {
    f"{move} a timelapse": (("timelapse-move", "timelapse", move), ("post", f"timelapse-{move}", "timelapse"))
    for move in ("pause", "resume", "complete", "archive", "reschedule")
}


@pytest.fixture
def things(broker):
    timelapse, video = make_timelapse(), make_video()
    job = make_job(task="videos.render", state=MediaJob.State.FAILED, args={"video": video.pk})
    return {
        "camera": timelapse.camera_id,
        "timelapse": timelapse.pk,
        "video": video.pk,
        "job": job.pk,
        "task": "videos.tidy",
    }


def address(name, things, thing, *more, is_api):
    """The pages and the API have some names in common: the right one by its beginning."""
    args = [*([things[thing]] if thing else []), *more]
    prefix = "/api/v1/"
    found = [
        f"/{path % dict(zip(names, args, strict=True))}"
        for path, names in (
            (path, names)
            for possibility in get_resolver().reverse_dict.getlist(name)
            for path, names in possibility[0]
            if len(names) == len(args)
        )
    ]
    (own,) = {path for path in found if path.startswith(prefix) == is_api}
    return own


@pytest.mark.parametrize("deed", DEEDS)
@pytest.mark.parametrize("role", ["viewer", "operator", "admin"])
def test_pages_and_api_agree(deed, role, things, api, pages):
    page, (method, *of_api) = DEEDS[deed]
    user = make_user(role=role)

    by_page = pages(user).post(address(page[0], things, *page[1:], is_api=False), {})
    by_api = getattr(api(user), method)(address(*of_api[:1], things, *of_api[1:], is_api=True), {})

    assert (by_page.status_code == 403) == (by_api.status_code == 403), (by_page, by_api)
    assert {by_page.status_code, by_api.status_code}.isdisjoint({404, 405, 500})
