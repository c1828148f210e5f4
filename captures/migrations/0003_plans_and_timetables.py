import captures.models
import django.core.validators
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('captures', '0002_index_for_lists'),
    ]

    operations = [
        migrations.AddField('timelapse', 'plan', models.JSONField(default=captures.models.default_plan, help_text='When pictures are owed: rules, windows, days; see docs/schedules.md.')),
        migrations.AddField('timelapse', 'stop_after_days', models.PositiveIntegerField(blank=True, help_text='Local calendar days, the day of the start included.', null=True, validators=[django.core.validators.MinValueValidator(1), django.core.validators.MaxValueValidator(36500)])),
        migrations.AddField('timelapse', 'stop_after_captures', models.PositiveIntegerField(blank=True, help_text='So many stored pictures.', null=True, validators=[django.core.validators.MinValueValidator(1)])),
        migrations.AddField('schedule', 'document', models.JSONField(default=dict, help_text='The timetable, complete and frozen: rules, anchors, zone, place.')),
        migrations.AddField('capture', 'rule', models.CharField(default='', help_text='Which rule of the plan owed it.', max_length=80)),
        migrations.AddField('capture', 'correlation_id', models.CharField(default='', max_length=64)),
        migrations.AddIndex('capture', models.Index(fields=['correlation_id'], name='captures_by_correlation')),
    ]
