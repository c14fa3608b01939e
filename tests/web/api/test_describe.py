"""The OpenAPI document is valid, complete, and what the API does."""

from __future__ import annotations

import json

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from openapi_spec_validator import validate


@pytest.fixture
def document(app):
    return json.loads(app.test_client().get("/api/v1/openapi.json").data)


def operations(document):
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if method != "parameters":
                yield f"{method.upper()} {path}", operation


def test_it_is_valid_openapi_3_1(document):
    assert document["openapi"] == "3.1.0"
    validate(document)


def test_every_error_is_described_as_a_problem(document):
    for name, operation in operations(document):
        errors = {status: answer for status, answer in operation["responses"].items() if status >= "400"}
        assert {"400", "500", "503"} <= set(errors), name
        assert all(answer["$ref"].startswith("#/components/responses/") for answer in errors.values()), name
    for status, answer in document["components"]["responses"].items():
        assert list(answer["content"]) == ["application/problem+json"], status


def test_every_operation_has_a_name_of_its_own_a_summary_and_says_who_may_use_it(document):
    names = [operation["operationId"] for _, operation in operations(document)]
    assert len(names) == len(set(names))
    for name, operation in operations(document):
        assert operation["summary"], name
        assert operation.get("x-permission") or operation["security"] == [], name


def test_money_is_a_string_in_the_document(document):
    budget = document["components"]["schemas"]["ProjectOutput"]["properties"]["budget"]
    assert budget["type"] == ["string", "null"]


def test_what_a_patch_takes_demands_nothing(document):
    assert "required" not in document["components"]["schemas"]["ClientPatch"]
    assert document["components"]["schemas"]["ClientInput"]["required"] == ["name"]


def test_each_kind_of_problem_is_documented_where_its_type_points(app, users):
    client = app.test_client()
    problem = client.get("/api/v1/clients").json
    assert client.get(problem["type"]).json["code"] == "not-signed-in"


def test_no_request_made_from_the_document_breaks_the_api(app, keys, billable):
    """Each operation gets a handful of generated requests, good and bad: none may fail on our side."""
    schema = schemathesis.openapi.from_wsgi("/api/v1/openapi.json", app)
    headers = {"Authorization": f"Bearer {keys['admin']}"}
    broken = []

    for found in schema.get_all_operations():
        operation = found.ok()

        @settings(
            max_examples=8, deadline=None, database=None, suppress_health_check=list(HealthCheck), derandomize=True
        )
        @given(case=operation.as_strategy())
        def send(case):
            response = case.call(headers=headers)
            if response.status_code >= 500:
                broken.append(f"{case.method} {case.formatted_path}: {response.status_code} {response.text}")

        send()
    assert broken == []
