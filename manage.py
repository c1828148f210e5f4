#!/usr/bin/env python
"""Django's command line; `up` starts the embedded default without importing Django."""

from __future__ import annotations

import os
import sys


def main() -> None:
    if sys.argv[1:2] == ["up"]:
        from timelapser.embedded.up import main as up

        sys.exit(up(sys.argv[2:]))
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "timelapser.settings")
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
