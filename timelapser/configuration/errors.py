"""What is wrong with a file as a whole."""

from __future__ import annotations


class FileRefused(ValueError):
    """The file is no configuration that can be read; nothing was changed."""
