"""The schema that is kept in docs/ is the one that the code makes, is valid, and tells what can go wrong."""

import json
from io import StringIO
from pathlib import Path

import pytest
import yaml
from django.core.management import call_command
from drf_spectacular.drainage import GENERATOR_STATS, reset_generator_stats
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.validation import validate_schema

from tests.factories import make_camera
from tests.test_api_fuzz import PLAN, WINDOWS

pytestmark = pytest.mark.any_database
KEPT = Path(__file__).parent.parent / "docs" / "openapi.yaml"
METHODS = {"get", "post", "put", "patch", "delete"}
REMAKE = "manage.py spectacular --file docs/openapi.yaml --validate --fail-on-warn"


@pytest.fixture(scope="module")
def schema():
    return yaml.safe_load(KEPT.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def operations(schema):
    return [
        (path, method, operation)
        for path, methods in schema["paths"].items()
        for method, operation in methods.items()
        if method in METHODS
    ]


def test_the_kept_schema_is_the_one_that_the_code_makes(tmp_path):
    made = tmp_path / "openapi.yaml"

    call_command("spectacular", file=str(made), validate=True, fail_on_warn=True, stdout=StringIO())

    assert made.read_text(encoding="utf-8") == KEPT.read_text(encoding="utf-8"), f"run: {REMAKE}"


def test_it_is_a_valid_openapi_3_1_made_without_warnings():
    reset_generator_stats()

    made = SchemaGenerator().get_schema(request=None, public=True)

    assert not GENERATOR_STATS
    assert made["openapi"] == "3.1.0"
    validate_schema(made)


def test_every_reference_leads_somewhere(schema):
    text = json.dumps(schema)
    names = {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}

    assert names <= set(schema["components"]["schemas"])


def test_every_operation_tells_its_problems(operations):
    for path, method, operation in operations:
        expected = {"406", "429"}
        if path != "/api/v1/token/":
            expected |= {"401", "403"}
        if "{id}" in path:
            expected.add("404")
        if method in {"post", "put", "patch"}:
            expected |= {"400", "413", "415"}
        assert expected <= set(operation["responses"]), (path, method)
        for code, response in operation["responses"].items():
            if code >= "400":
                assert list(response["content"]) == ["application/problem+json"], (path, method, code)


@pytest.mark.parametrize(
    ("path", "method", "codes"),
    [
        ("cameras/{id}/", "delete", {"204", "409"}),
        ("cameras/{id}/test/", "post", {"202"}),
        ("cameras/test/", "post", {"202"}),
        ("cameras/{id}/capture-now/", "post", {"202", "409"}),
        ("timelapses/{id}/", "patch", {"200", "409"}),
        ("timelapses/{id}/", "delete", {"204", "409"}),
        ("timelapses/{id}/start/", "post", {"200", "409"}),
        ("timelapses/{id}/archive/", "post", {"200", "409"}),
        ("timelapses/{id}/reschedule/", "post", {"200", "409"}),
        ("timelapses/{id}/thumbnails/", "post", {"202"}),
        ("captures/{id}/thumbnail/", "post", {"200", "202", "409"}),
        ("timelapses/preview/", "post", {"200"}),
        ("videos/{id}/render/", "post", {"200", "202", "409"}),
        ("videos/{id}/", "delete", {"204", "409"}),
        ("recipes/{id}/", "delete", {"204", "409"}),
        ("jobs/{id}/cancel/", "post", {"202", "409"}),
        ("jobs/{id}/retry/", "post", {"202", "409"}),
    ],
)
def test_what_is_asked_for_and_what_is_refused_is_told(schema, path, method, codes):
    assert codes <= set(schema["paths"][f"/api/v1/{path}"][method]["responses"])


def test_plans_are_told_by_their_kinds(schema):
    components = schema["components"]["schemas"]

    assert components["TimelapseRequest"]["properties"]["plan"]["allOf"] == [
        {"$ref": "#/components/schemas/PlanRequest"}
    ]
    for name, kinds in (("Rule", list(rules_by_kind())), ("Window", list(windows_by_kind()))):
        mapping = components[name]["discriminator"]["mapping"]
        assert list(mapping) == kinds
        for kind, reference in mapping.items():
            assert components[reference.rpartition("/")[2]]["properties"]["kind"]["const"] == kind


def rules_by_kind():
    return {rule["kind"]: rule for rule in PLAN["rules"]}


def windows_by_kind():
    return {window["kind"]: window for window in WINDOWS}


def test_every_example_of_a_plan_keeps_to_the_schema(schema):
    components = schema["components"]["schemas"]

    for examples, part in ((rules_by_kind(), "Rule"), (windows_by_kind(), "Window")):
        for kind, example in examples.items():
            told = components[components[part]["discriminator"]["mapping"][kind].rpartition("/")[2]]
            assert set(told.get("required", [])) <= set(example) <= set(told["properties"])


def test_a_password_is_nowhere_in_what_comes_out(schema):
    components = schema["components"]["schemas"]
    responses = {name: part for name, part in components.items() if not name.endswith("Request")}

    shown = {
        name
        for name, part in responses.items()
        for field in part.get("properties", {})
        if "password" in field
    }

    assert shown == {"Camera"}
    assert [name for name in components["Camera"]["properties"] if "password" in name] == ["has_password"]


def test_the_served_schema_is_the_kept_one(viewer, api, schema):
    make_camera()
    answer = api(viewer).get("/api/v1/schema/", headers={"accept": "application/vnd.oai.openapi+json"})

    assert json.loads(answer.content) == schema
