"""Forms drawn from a JSON Schema."""

from __future__ import annotations

from decimal import Decimal

import pytest

from hub.web.forms import form_fields, posted_values


def only(rule, **more):
    """The one field of a schema with one property."""
    [field] = form_fields({"properties": {"thing": rule}, "required": more.pop("required", ())}, **more)
    return field


@pytest.mark.parametrize(
    ("rule", "kind"),
    [
        ({"type": "string"}, "text"),
        ({"type": ["string", "null"]}, "text"),
        ({"type": "string", "x-multiline": True}, "area"),
        ({"type": "string", "writeOnly": True}, "secret"),
        ({"type": "string", "writeOnly": True, "x-multiline": True}, "secret_area"),
        ({"type": "string", "enum": ["a", "b", "c"]}, "radio"),
        ({"type": "string", "enum": ["a", "b", "c", "d"]}, "choice"),  # more than three: a list
        ({"type": "string", "format": "uri"}, "url"),
        ({"type": "string", "format": "date"}, "date"),
        ({"type": "integer"}, "number"),
        ({"type": "number"}, "number"),
        ({"type": "boolean"}, "tick"),
        ({"type": "object"}, "area"),
        ({"type": "array"}, "area"),
    ],
)
def test_a_property_becomes_the_control_that_fits(rule, kind):
    assert only(rule).kind == kind


def test_a_secret_is_never_shown_and_need_not_be_given_again():
    field = only(
        {"type": "string", "writeOnly": True}, values={"thing": "s3cret"}, stored_secrets={"thing"}, required=["thing"]
    )

    assert (field.value, field.kept, field.required) == ("", True, False)


def test_a_field_shows_its_default_until_it_has_a_value():
    rule = {"type": "integer", "default": 500}

    assert only(rule).value == "500"
    assert only(rule, values={"thing": 20}).value == "20"


def test_an_optional_choice_without_default_can_stay_open():
    assert only({"enum": ["a", "b"]}).choices == (("", "Not set"), ("a", "A"), ("b", "B"))
    assert only({"enum": ["a", "b"]}, required=["thing"]).choices == (("a", "A"), ("b", "B"))


def test_choices_carry_their_labels():
    rule = {"enum": ["ours", "theirs"], "x-labels": ["The hub", "Accounting"], "default": "ours"}

    assert only(rule).choices == (("ours", "The hub"), ("theirs", "Accounting"))


def test_an_error_stands_at_its_field():
    assert only({"type": "string"}, errors={"thing": "Thing is missing."}).error == "Thing is missing."


def test_pairs_are_one_a_line():
    rule = {"type": "object"}

    assert only(rule, values={"thing": {"20": "TAX", "0": "NON"}}).value == "20 = TAX\n0 = NON"
    assert posted_values({"properties": {"thing": rule}}, {"thing": "20 = TAX\r\n0=NON\r\n"}) == {
        "thing": {"20": "TAX", "0": "NON"}
    }


@pytest.mark.parametrize(
    ("rule", "text", "values"),
    [
        ({"type": "string"}, "  books ", {"thing": "books"}),
        ({"type": "string"}, "", {}),
        ({"type": "string", "writeOnly": True}, "", {}),  # as it was
        ({"type": "integer"}, "20", {"thing": 20}),
        ({"type": "integer"}, "2x", {"thing": "2x"}),  # validation names what was entered
        ({"type": "number"}, "2.50", {"thing": Decimal("2.50")}),
        ({"type": "boolean"}, "true", {"thing": True}),
        ({"type": "boolean"}, "", {"thing": False}),
        ({"type": "array"}, "a\nb\n", {"thing": ["a", "b"]}),
        ({"type": "object"}, "no sign", {"thing": "no sign"}),
    ],
)
def test_what_is_posted_comes_back_in_the_types_of_the_schema(rule, text, values):
    assert posted_values({"properties": {"thing": rule}}, {"thing": text}) == values


def test_a_field_that_is_no_part_of_the_schema_is_left_out():
    assert posted_values({"properties": {}}, {"_csrf": "t"}) == {}
