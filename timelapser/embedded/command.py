"""Runs a management command on the data folder of `up`: `python -m timelapser.embedded.command migrate`."""

from __future__ import annotations

import os
import sys

from timelapser.embedded.data_folder import chosen_folder
from timelapser.embedded.up import PROJECT


def main(arguments: list[str]) -> None:
    command = [sys.executable, str(PROJECT / "manage.py"), *arguments]
    os.execve(command[0], command, chosen_folder().environment())  # noqa: S606 - the command is the process


if __name__ == "__main__":
    main(sys.argv[1:])
