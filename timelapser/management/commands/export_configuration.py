"""`manage.py export_configuration`: writes down what people have set up."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from cameras.exceptions import SealBroken
from media_jobs import audit
from timelapser.configuration import FileRefused, export_document, write_text
from timelapser.configuration_api import note_export


class Command(BaseCommand):
    help = "Cameras, sites, recipes, timelapses and settings as JSON; without secrets unless they are sealed."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", nargs="?", default="-", help="Where to; - is the standard output.")
        parser.add_argument(
            "--passphrase-file", type=Path, help="A file whose first line seals the secrets into the export."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        passphrase = first_line(options["passphrase_file"])
        try:
            text = write_text(export_document(passphrase))
        except (FileRefused, SealBroken) as error:
            raise CommandError(str(error)) from error
        if options["file"] == "-":
            self.stdout.write(text, ending="")
        else:
            try:
                handle = os.open(options["file"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
                with os.fdopen(handle, "w", encoding="utf-8") as file:
                    file.write(text)
            except OSError as error:
                raise CommandError(f"{options['file']}: {error.strerror}.") from error
        note_export(audit.CLOCK, is_sealed=bool(passphrase))


def first_line(path: Path | None) -> str:
    """The passphrase in a file; empty without one. Raises CommandError."""
    if path is None:
        return ""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise CommandError(f"{path} cannot be read.") from error
    if not lines or not lines[0]:
        raise CommandError(f"{path} has no passphrase in its first line.")
    return lines[0]
