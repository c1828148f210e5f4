"""What the pages and the API's lists take with a million captures: queries, median, p95.

    python bench/gallery.py [--captures 1000000] [--rounds 30] [--only WORD]

200 cameras with a running timelapse each; one of them has 300,000 captures, the others share the rest; 95 % are
stored, 3 % of those flagged, and every picture was judged. On PostgreSQL, through the real views and templates; each
address is asked as often as `--rounds` says after one warm-up, in turns with a page that asks `SELECT 1` and nothing
else: absolute times are this machine's, ratios travel. A database that is filled already
(TIMELAPSER_TEST_DATABASE_URL) is used as it is.
"""

import argparse
import os
import pathlib
import statistics
import sys
import time
from datetime import datetime, timedelta

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
os.environ["DJANGO_SETTINGS_MODULE"] = "timelapser.settings"
os.environ.setdefault("TIMELAPSER_RATE_USER", "1000000/min")

# ruff: noqa: E402 - Django is told first where the database is
from tests import servers  # noqa: F401, I001 - starts PostgreSQL and Valkey, and says where they are

import django

django.setup()

from django.conf import settings
from django.contrib.auth.models import Group, User
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import Resolver404, resolve

from captures import versions
from captures.filters import CaptureFilter
from captures.models import Capture, JudgedPicture, Schedule, Timelapse
from media_jobs import clock
from tests.factories import make_camera, make_recipe, make_timelapse, make_video
from timelapser.viewsets import NothingHere

CAMERAS = 200
BIGGEST = 0.3  # of all captures belong to one timelapse
LIMIT_MS = 200
EMPTY = "/health/live"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--captures", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--only", default="", help="addresses whose name has this word")
    options = parser.parse_args()
    call_command("migrate", verbosity=0)
    call_command("collectstatic", interactive=False, verbosity=0)
    if not Capture.objects.exists():
        begun = time.monotonic()
        fill(options.captures)
        print(f"Filled in {time.monotonic() - begun:.0f} s.")
    settings.ALLOWED_HOSTS = ["*"]
    client = Client()
    client.force_login(User.objects.get(username="bench"))
    big = Timelapse.objects.order_by("-image_count")[0]
    print(
        f"\n{connection.vendor} {connection.pg_version if connection.vendor == 'postgresql' else ''}:"
        f" {Capture.objects.count():,} captures, {JudgedPicture.objects.count():,} judged pictures,"
        f" {Timelapse.objects.count()} timelapses; the biggest has {big.captures.count():,}.\n"
    )
    print("| address | queries | median ms | p95 ms | our CPU ms | of SELECT 1 |\n|---|--:|--:|--:|--:|--:|")
    slow = []
    for name, address in [("an empty page with `SELECT 1`", EMPTY), *addresses(big)]:
        if options.only in name:
            p95 = measure(name, client, address, options.rounds)
            slow += [name] if p95 > LIMIT_MS else []
    print(f"\nAbove {LIMIT_MS} ms: {', '.join(slow) if slow else 'none'}.")


def addresses(big: Timelapse) -> list[tuple[str, str]]:
    """What people look at, at the beginning, in the middle and at the end of the past."""
    rows = big.captures.stored().order_by("slot")
    count = rows.count()
    deep, middle, newest = (rows[index] for index in (100, count // 2, count - 1))
    month, day = f"{middle.slot:%Y-%m}", f"{middle.slot:%Y-%m-%d}"
    page, camera = f"/timelapses/{big.pk}/", f"/cameras/{big.camera_id}/"
    strip, ledger = f"{page}strip/", f"/api/v1/timelapses/{big.pk}/captures/"
    lost = big.captures.filter(state="missed").order_by("slot")[0]

    def before(capture: Capture) -> str:
        return f"{strip}?before={capture.slot.isoformat().replace('+', '%2B')}"

    found = [
        ("dashboard", "/"),
        ("dashboard, one card", f"/parts/?part=camera-{big.camera_id}"),
        (
            "dashboard, all parts",
            "/parts/?part=fleet&part=banner"
            + "".join(f"&part=camera-{pk}" for pk in Timelapse.objects.values_list("camera", flat=True)),
        ),
        ("camera", camera),
        ("timelapse", page),
        ("timelapse, calendar of a month in the middle", f"{page}parts/?part=calendar&month={month}"),
        ("timelapse, a day in the middle", f"{page}parts/?part=day&day={day}"),
        ("timelapse, state", f"{page}parts/?part=state"),
        ("gallery, newest", strip),
        ("gallery, in the middle", before(middle)),
        ("gallery, at the beginning", before(deep)),
        ("picture, newest", f"/captures/{newest.pk}/"),
        ("picture, in the middle", f"/captures/{middle.pk}/"),
        ("picture, at the beginning", f"/captures/{deep.pk}/"),
        ("API: captures", "/api/v1/captures/"),
        ("API: captures, page 10,000", "/api/v1/captures/?page=10000"),
        ("API: captures, the last page", f"/api/v1/captures/?page={-(-Capture.objects.count() // 50)}"),
        ("API: captures, 500 to a page", "/api/v1/captures/?page_size=500"),
        ("API: captures of a camera", f"/api/v1/captures/?camera={big.camera_id}"),
        ("API: captures, failed ones", "/api/v1/captures/?state=failed"),
        ("API: captures, stored ones", "/api/v1/captures/?state=stored"),
        ("API: captures by reason", "/api/v1/captures/?reason=no_worker"),
        ("API: captures by lateness", "/api/v1/captures/?ordering=-lateness_ms"),
        ("API: captures by time taken", "/api/v1/captures/?ordering=-taken_at"),
        (
            "API: captures of an hour",
            "/api/v1/captures/?slot_from={}&slot_until={}".format(
                f"{middle.slot:%Y-%m-%dT%H}:00:00Z", f"{middle.slot + timedelta(hours=1):%Y-%m-%dT%H}:00:00Z"
            ),
        ),
        ("API: ledger of a timelapse", ledger),
        ("API: ledger, page 5,000", f"{ledger}?page=5000"),
        ("API: ledger, a day", f"{ledger}?day={day}"),
        ("API: ledger, missed ones", f"{ledger}?state=missed"),
        ("API: a capture", f"/api/v1/captures/{middle.pk}/"),
        ("API: calendar", f"/api/v1/timelapses/{big.pk}/calendar/?from_day={month}-01&until_day={month}-28"),
        ("API: why not?", f"/api/v1/timelapses/{big.pk}/why/?at={lost.slot:%Y-%m-%dT%H:%M:%SZ}"),
        ("API: timelapses", "/api/v1/timelapses/"),
        ("API: cameras", "/api/v1/cameras/"),
        ("API: newest picture of a camera", f"/api/v1/cameras/{big.camera_id}/pictures/latest/"),
        ("operations", "/operations/"),
    ]
    return found + [(name, address) for name, address in newer_pages(big) if is_known(address)]


def newer_pages(big: Timelapse) -> list[tuple[str, str]]:
    return [
        ("quality", "/quality/"),
        ("quality of a camera", f"/quality/cameras/{big.camera_id}/"),
        ("API: captures, flagged ones", "/api/v1/captures/?is_flagged=true"),
        ("API: ledger, flagged ones", f"/api/v1/timelapses/{big.pk}/captures/?is_flagged=true"),
        ("API: evaluations", "/api/v1/evaluations/"),
        ("weather", "/weather/"),
    ]


def is_known(address: str) -> bool:
    """Whether this release has it."""
    if "is_flagged" in address and "is_flagged" not in CaptureFilter.base_filters:
        return False
    try:
        view = resolve(address.partition("?")[0]).func
    except Resolver404:
        return False
    return getattr(view, "view_class", None) is not NothingHere


def measure(name: str, client: Client, address: str, rounds: int) -> float:
    """Prints a line; gives p95 in ms. Each round asks for the empty page as well: the machine is not always as busy."""
    with CaptureQueriesContext(connection) as queries:
        answer = client.get(address)
        count = len(queries)  # now: the next request forgets them
    assert answer.status_code == 200, (address, answer.status_code, answer.content[:500])
    took, empty, busy = [], [], []
    for _ in range(rounds):
        begun = time.perf_counter()
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        client.get(EMPTY)
        empty.append((time.perf_counter() - begun) * 1000)
        begun, cpu = time.perf_counter(), time.process_time()
        client.get(address)
        took.append((time.perf_counter() - begun) * 1000)
        busy.append((time.process_time() - cpu) * 1000)
    median, p95 = statistics.median(took), sorted(took)[min(rounds - 1, round(0.95 * rounds))]
    ratio = median / statistics.median(empty)
    print(
        f"| {name} | {count} | {median:.1f} | {p95:.1f} | {statistics.median(busy):.1f} | {ratio:.1f} |",
        flush=True,
    )
    return p95


def fill(count: int) -> None:
    user = User.objects.create_user("bench")
    user.groups.add(Group.objects.get_or_create(name="admin")[0])
    now = clock.now().replace(microsecond=0)
    many, recipe = round(count * BIGGEST), make_recipe()
    shares = [many] + [(count - many) // (CAMERAS - 1)] * (CAMERAS - 1)
    shares[-1] += count - sum(shares)
    for share in shares:
        every_s = 60 if share == many else 300
        camera = make_camera(health="online", image_count=share, last_success_at=now)
        timelapse = make_timelapse(
            camera=camera,
            state="running",
            interval_s=every_s,
            started_at=now - timedelta(seconds=every_s * share),
        )
        document = versions.timetable_of(timelapse, now).to_document()
        Schedule.objects.create(timelapse=timelapse, document=document, from_at=timelapse.started_at)
        make_video(
            timelapse=timelapse, recipe=recipe, revision=1, follows=True, file="films/1.mp4", rendered_at=now
        )
        add_captures(timelapse, share, every_s)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")


def add_captures(timelapse: Timelapse, count: int, every_s: int) -> None:
    """So many slots in one statement: every 20th is lost, every 33rd flagged, and all the others are there."""
    sample = Capture(
        timelapse=timelapse,
        slot=timelapse.started_at,
        give_up_at=timelapse.started_at,
        worker="capture@bench",
        correlation_id="0" * 32,
        attempt=1,
        duration_ms=180,
        width=1920,
        height=1080,
        codec="mjpeg",
        score=91,
        verdict="good",
        weather={"temperature_c": 13.3, "condition": "rain", "words": "rain"},
    )
    slot = f"(%s::timestamptz + n * interval '{every_s} seconds')"
    stored = "n %% 20 <> 7"
    name = f"'cameras/{timelapse.camera_id}/timelapses/{timelapse.pk}/frames/' || n || '.jpg'"
    made = {
        "slot": slot,
        "give_up_at": slot + " + interval '30 seconds'",
        "sent_at": slot,
        "claimed_at": slot,
        "taken_at": f"CASE WHEN {stored} THEN {slot} END",
        "lateness_ms": f"CASE WHEN {stored} THEN n %% 1000 * 7919 %% 900 END",
        "day_number": f"1 + n * {every_s} / 86400",
        "state": f"CASE WHEN {stored} THEN 'stored' WHEN n %% 60 = 7 THEN 'failed' ELSE 'missed' END",
        "reason": f"CASE WHEN {stored} THEN '' WHEN n %% 60 = 7 THEN 'unreachable' ELSE 'no_worker' END",
        "file": f"CASE WHEN {stored} THEN {name} ELSE '' END",
        "thumbnail": f"CASE WHEN {stored} THEN {name} ELSE '' END",
        "small": f"CASE WHEN {stored} THEN {name} ELSE '' END",
        "bytes": f"CASE WHEN {stored} THEN 300000 + n %% 90000 ELSE 0 END",
        "checksum": f"CASE WHEN {stored} THEN md5(n::text) || md5(n::text) ELSE '' END",
        "is_flagged": f"{stored} AND n %% 33 = 1",
        "flagged_by": f"CASE WHEN {stored} AND n %% 33 = 1 THEN 'quality' ELSE '' END",
    }
    insert(sample, made, f"generate_series(0, {count - 1}) AS n", timelapse.started_at)
    rows = timelapse.captures.stored()
    Timelapse.objects.filter(pk=timelapse.pk).update(
        image_count=rows.count(),
        flagged_count=rows.filter(is_flagged=True).count(),
        latest_capture=rows.order_by("-slot").values("pk")[:1],
        next_slot_at=clock.now() + timedelta(hours=6),
    )
    judged = JudgedPicture(
        camera=timelapse.camera,
        at=timelapse.started_at,
        score=0,
        fast=90,
        verdict="",
        readings=[
            {
                "detector": "brightness",
                "value": 91.2,
                "is_found": False,
                "penalty": 0,
                "elapsed_ms": 0.1,
                "error": "",
            }
        ],
        action="",
        is_bad=False,
        elapsed_ms=3.1,
    )
    bad = "c.is_flagged"
    insert(
        judged,
        {
            "capture_id": "c.id",
            "at": "c.slot",
            "score": f"CASE WHEN {bad} THEN 40 + c.id %% 30 ELSE 75 + c.id %% 26 END",
            "verdict": f"CASE WHEN {bad} THEN 'smear' ELSE 'good' END",
            "sort": f"CASE WHEN {bad} THEN 'damage' ELSE '' END",
            "action": f"CASE WHEN {bad} THEN 'flagged' ELSE 'saved' END",
            "is_bad": bad,
        },
        f"captures_capture c WHERE c.state = 'stored' AND c.timelapse_id = {timelapse.pk}",
    )


def insert(sample: Capture | JudgedPicture, made: dict[str, str], source: str, *moments: datetime) -> None:
    """`INSERT … SELECT`: what `made` does not say by an SQL expression is as in `sample`."""
    fields = [field for field in sample._meta.concrete_fields if not field.primary_key]
    expressions, values = [], []
    for field in fields:
        if field.column in made:
            expressions.append(made[field.column])
            values += list(moments) * made[field.column].count("%s")
        else:
            expressions.append("%s")
            values.append(field.get_db_prep_save(field.value_from_object(sample), connection))
    columns = ", ".join(f'"{field.column}"' for field in fields)
    with connection.cursor() as cursor:
        cursor.execute(
            f'INSERT INTO "{sample._meta.db_table}" ({columns})'  # noqa: S608 - names of our own
            f" SELECT {', '.join(expressions)} FROM {source}",
            values,
        )


if __name__ == "__main__":
    main()
