from django.db import migrations

BATCH = 1000


def plan_of(interval_s, is_on_the_clock):
    rule = {"kind": "interval", "every_s": interval_s, "on_the_clock": is_on_the_clock}
    return {"rules": [rule], "window": {"kind": "none"}, "weekdays": [], "dates": [], "blackouts": []}


def write_documents(apps, schema_editor):
    """Every timelapse and every version says what it said; anchors, and so the grids, stay."""
    Timelapse = apps.get_model("captures", "Timelapse")
    Schedule = apps.get_model("captures", "Schedule")
    some = []
    for timelapse in Timelapse.objects.only("interval_s", "is_on_the_clock").iterator(chunk_size=BATCH):
        timelapse.plan = plan_of(timelapse.interval_s, timelapse.is_on_the_clock)
        some.append(timelapse)
    Timelapse.objects.bulk_update(some, ["plan"], batch_size=BATCH)
    some = []
    for schedule in Schedule.objects.select_related("timelapse").iterator(chunk_size=BATCH):
        schedule.document = {
            "plan": plan_of(schedule.interval_s, schedule.timelapse.is_on_the_clock),
            "zone": schedule.timelapse.time_zone,
            "place": None,
            "anchors": [schedule.anchor_at.isoformat()],
        }
        some.append(schedule)
    Schedule.objects.bulk_update(some, ["document"], batch_size=BATCH)


class Migration(migrations.Migration):

    dependencies = [
        ('captures', '0003_plans_and_timetables'),
    ]

    operations = [
        migrations.RunPython(write_documents),
    ]
