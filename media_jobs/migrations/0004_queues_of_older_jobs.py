from django.db import migrations

QUEUES = {
    "cameras.test_connection": "capture",
    "captures.make_thumbnails": "thumbnail",
    "videos.render": "video",
    "videos.encode_segment": "video",
}


def name_queues(apps, schema_editor):
    jobs = apps.get_model("media_jobs", "MediaJob").objects
    for task, queue in QUEUES.items():
        jobs.filter(task=task).update(queue=queue)


class Migration(migrations.Migration):

    dependencies = [
        ('media_jobs', '0003_turns_audit_and_runs'),
    ]

    operations = [
        migrations.RunPython(name_queues, migrations.RunPython.noop, elidable=True),
    ]
