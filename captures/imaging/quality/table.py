"""All detectors, in the order in which they are shown. The bounds and how they were found: docs/quality.md."""

from __future__ import annotations

from captures.imaging.quality import damage, of_file
from captures.imaging.quality.contract import Detector, Path, Sort

DETECTORS: tuple[Detector, ...] = (
    Detector(
        name="file",
        title="File",
        help="Is the file whole? An end marker that is missing, data that ends too early, a checksum that is wrong.",
        path=Path.FAST,
        sort=Sort.DAMAGE,
        finding="broken file",
        unit="",
        bound=0.5,
        above=True,
        penalty=70,
        cost_ms=0.1,
        needs_past=False,
        read=of_file.is_broken,
    ),
    Detector(
        name="smear",
        title="Smear",
        help="Rows that repeat the one above, as a decoder draws after data was lost.",
        path=Path.FAST,
        sort=Sort.DAMAGE,
        finding="smear",
        unit="share of the height",
        bound=0.14,
        above=True,
        penalty=70,
        cost_ms=0.5,
        needs_past=False,
        read=damage.smear,
    ),
    Detector(
        name="missing",
        title="Missing part",
        help="Flat grey or green rows below the place where the data stopped.",
        path=Path.FAST,
        sort=Sort.DAMAGE,
        finding="missing part",
        unit="share of the height",
        bound=0.02,
        above=True,
        penalty=70,
        cost_ms=0.7,
        needs_past=False,
        read=damage.missing,
    ),
)
