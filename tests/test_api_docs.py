"""docs/api.md names every address that there is, and functions that exist with the arguments that they have."""

import inspect
import re
from importlib import import_module
from pathlib import Path

import pytest
import yaml

DOCS = Path(__file__).parent.parent / "docs"
TEXT = (DOCS / "api.md").read_text(encoding="utf-8")
CALL = re.compile(r"`((?:\w+\.)+\w+)(?:\(([^)`]*)\))?`")
TABLE = TEXT[TEXT.index("## What can be scheduled") :]


def addresses():
    schema = yaml.safe_load((DOCS / "openapi.yaml").read_text(encoding="utf-8"))
    return [path.removeprefix("/api/v1/") for path in schema["paths"]]


def test_every_address_is_described():
    described = set()
    for row in re.findall(r"^\| (`.+?`) \|", TEXT, re.MULTILINE):
        names = [name.partition("?")[0] for name in re.findall(r"`([^`]+)`", row)]
        described |= set(names)
        if "{id}" in names[0]:  # `timelapses/{id}/pause/`, `resume/`
            described |= {f"{names[0].partition('{id}/')[0]}{{id}}/{name}" for name in names[1:]}
    ends = {"token/", "schema/", "docs/"}

    missing = {
        path
        for path in addresses()
        if path not in described | ends and path not in {f"{name}{{id}}/" for name in described}
    }

    assert missing == set()


@pytest.mark.parametrize(("name", "arguments"), CALL.findall(TABLE))
def test_every_function_is_there_and_takes_what_is_said(name, arguments):
    module, _, attribute = name.rpartition(".")
    found = getattr(import_module(module), attribute)

    said = [part.strip() for part in arguments.split(",") if part.strip() and part.strip() != "…"]
    takes = inspect.signature(found).parameters if callable(found) and said else {}
    for argument in said:
        parameter = takes[argument.removesuffix("=")]
        is_by_name = (
            parameter.kind is inspect.Parameter.KEYWORD_ONLY or parameter.default is not parameter.empty
        )
        assert is_by_name or not argument.endswith("=")
