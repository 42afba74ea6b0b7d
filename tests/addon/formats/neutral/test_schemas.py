"""A tool's schema has no choice at its top, and says what all of its choices know."""

from typing import Any

import pytest

from addon.formats.neutral.schemas import flat, plain

type Json = dict[str, Any]

A, B = {"type": "string"}, {"type": "integer"}


@pytest.mark.parametrize(
    "schema",
    [{}, {"type": "object", "properties": {"a": {"anyOf": [A, B]}}, "required": ["a"]}],
    ids=str,
)
def test_a_schema_without_a_choice_at_the_top_stays(schema: Json) -> None:
    assert flat(schema) is schema


@pytest.mark.parametrize("keyword", ["anyOf", "oneOf"])
def test_what_only_some_choices_require_is_not_required(keyword: str) -> None:
    choices = [
        {"properties": {"a": A}, "required": ["a"]},
        {"properties": {"b": B}, "required": ["b"]},
    ]
    schema = {"type": "object", "properties": {"c": A}, "required": ["c"], keyword: choices}
    assert flat(schema) == {
        "type": "object",
        "properties": {"a": A, "b": B, "c": A},
        "required": ["c"],
    }


def test_what_all_of_them_together_require_is_required() -> None:
    parts = [
        {"properties": {"a": A}, "required": ["a", "b"]},
        {"allOf": [{"properties": {"b": B}, "required": ["b"]}]},
    ]
    found = flat({"description": "d", "allOf": parts})
    assert found == {
        "description": "d",
        "type": "object",
        "properties": {"a": A, "b": B},
        "required": ["a", "b"],
    }


def test_the_schemas_own_properties_count_more_than_its_choices() -> None:
    found = flat({"properties": {"a": A}, "anyOf": [{"properties": {"a": B}}]})
    assert found["properties"] == {"a": A}


@pytest.mark.parametrize("odd", [7, None, "x", [7, None], [{"properties": 7, "required": 7}]])
def test_what_is_no_schema_adds_nothing(odd: Any) -> None:
    found = flat({"anyOf": odd, "allOf": odd, "required": odd})
    assert found["properties"] == {}
    assert "anyOf" not in found


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"$schema": "x", "$id": "y", "type": "object"}, {"type": "object"}),
        ({"type": "string", "format": "uri"}, {"type": "string"}),
        ({"type": "string", "format": "date-time"}, {"type": "string", "format": "date-time"}),
        ({"type": "integer", "format": "int32"}, {"type": "integer", "format": "int32"}),
        ({"const": 1}, {"enum": [1]}),
        ({"type": ["string", "null"]}, {"type": "string", "nullable": True}),
        (
            {"type": ["string", "null"], "enum": ["a", None], "format": "uri"},
            {"type": "string", "nullable": True, "enum": ["a"]},
        ),
        ({"type": ["string", "integer"]}, {"type": ["string", "integer"]}),
        (
            {"properties": {"format": {"type": "string"}, "$id": A, "const": B}},
            {"properties": {"format": {"type": "string"}, "$id": A, "const": B}},
        ),
        ({"items": {"anyOf": [{"const": 1}, A]}}, {"items": {"anyOf": [{"enum": [1]}, A]}}),
        ({"default": {"$schema": 1, "const": 2}}, {"default": {"$schema": 1, "const": 2}}),
    ],
    ids=str,
)
def test_a_plain_schema_has_keywords_that_gemini_knows(schema: Json, expected: Json) -> None:
    given = repr(schema)
    assert plain(schema) == expected
    assert repr(schema) == given, "what came is as it was"
