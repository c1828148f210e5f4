"""What is wrong with the document of a geometry."""

from __future__ import annotations


class GeometryRefused(ValueError):
    """The geometry cannot be carried out.

    `problems` says why, in a sentence for each path into the document: `{"crop.width": "…"}`; there is at least one.
    """

    def __init__(self, problems: dict[str, str]) -> None:
        super().__init__(" ".join(f"{path}: {words}" for path, words in problems.items()))
        self.problems = problems

    @property
    def field(self) -> str:
        return next(iter(self.problems))

    @property
    def sentence(self) -> str:
        return self.problems[self.field]
