"""The configuration as a file: written, and read again here or elsewhere. See docs/settings.md."""

from timelapser.configuration.errors import FileRefused
from timelapser.configuration.exporting import export_document
from timelapser.configuration.importing import import_document
from timelapser.configuration.report import Item, Report, Verdict
from timelapser.configuration.text import LARGEST_BYTES, read_text, write_text

__all__ = [
    "LARGEST_BYTES",
    "FileRefused",
    "Item",
    "Report",
    "Verdict",
    "export_document",
    "import_document",
    "read_text",
    "write_text",
]
