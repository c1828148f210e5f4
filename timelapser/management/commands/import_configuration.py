"""`manage.py import_configuration`: makes what a file names as it says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from media_jobs import clock
from timelapser.configuration import FileRefused, Report, import_document, read_text
from timelapser.management.commands.export_configuration import first_line

BY = "import_configuration"


class Command(BaseCommand):
    help = "Creates and changes, in one transaction; nothing is deleted, and no timelapse is started."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--trial", action="store_true", help="Only say what would be done.")
        parser.add_argument(
            "--skip-refused", action="store_true", help="Do the rest where something is refused."
        )
        parser.add_argument("--passphrase-file", type=Path, help="A file whose first line opens the secrets.")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            report = import_document(
                read_text(options["file"].read_bytes()),
                by=BY,
                now=clock.now(),
                passphrase=first_line(options["passphrase_file"]),
                is_trial=options["trial"],
                skips_refused=options["skip_refused"],
            )
        except OSError as error:
            raise CommandError(f"{options['file']}: {error.strerror}.") from error
        except FileRefused as error:
            raise CommandError(str(error)) from error
        self._tell(report)
        if not report.is_applied and not report.is_trial:
            raise CommandError("Nothing was changed, because something was refused.")

    def _tell(self, report: Report) -> None:
        for note in report.notes:
            self.stdout.write(note)
        for item in report.items:
            changed = f" ({', '.join(item.changed)})" if item.changed else ""
            self.stdout.write(f"{item.verdict:<9} {item.kind} {item.name}{changed}")
            for name, words in item.problems.items():
                self.stdout.write(f"          {f'{name}: ' if name else ''}{words}")
        told = ", ".join(f"{count} {verdict}" for verdict, count in report.counts.items())
        self.stdout.write(f"{'Would be: ' if report.is_trial else ''}{told}.")
