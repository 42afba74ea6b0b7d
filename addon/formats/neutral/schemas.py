"""Schemas of tools as upstreams take them: an object's, without a choice at the top for Anthropic
(github.com/langchain-ai/langchain/issues/39271) and OpenAI
(https://platform.openai.com/docs/guides/function-calling), in few keywords for Gemini
(https://ai.google.dev/api/caching#Schema).
"""

from typing import Any

from addon.formats.wire.lenient import as_dict, dicts_in, strings_in

__all__ = ("CHOICES", "flat", "plain")

CHOICES = ("allOf", "anyOf", "oneOf")
"""Keywords that Anthropic and OpenAI refuse at the top of a tool's schema."""

_ABOUT = frozenset(("$schema", "$id", "$comment", "$anchor"))
"""Keywords about the schema, which say nothing of what it describes."""

_FORMATS = ("date-time", "enum")
"""The formats of strings that Gemini knows."""

_NAMED = ("properties", "$defs", "definitions", "patternProperties")
"""Keywords whose members are named by the author, each with a schema."""


def flat(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema with the properties of all its choices; what only some of them require, it
    does not.
    """
    if schema.keys().isdisjoint(CHOICES):
        return schema
    whole = {key: member for key, member in schema.items() if key not in CHOICES}
    properties = dict(as_dict(schema.get("properties")))
    required = list(strings_in(schema.get("required")))
    for keyword in CHOICES:
        for choice in dicts_in(schema.get(keyword)):
            inner = flat(choice)
            properties = as_dict(inner.get("properties")) | properties
            if keyword == "allOf":
                required += strings_in(inner.get("required"))
    whole |= {"type": "object", "properties": properties}
    if required:
        whole["required"] = list(dict.fromkeys(required))
    return whole


def plain(schema: Any) -> Any:
    """The schema without keywords that Gemini refuses: `const` is an `enum` of one, a type
    that may be null is `nullable`.
    """
    if isinstance(schema, list):
        return [plain(inner) for inner in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {key: _plain_member(key, member) for key, member in schema.items() if key not in _ABOUT}
    if kept.get("type") == "string" and kept.get("format") not in _FORMATS:
        kept.pop("format", None)
    if "const" in kept:
        kept["enum"] = [kept.pop("const")]
    return _without_null(kept)


def _plain_member(keyword: str, member: Any) -> Any:
    if keyword in _NAMED and isinstance(member, dict):
        return {name: plain(inner) for name, inner in member.items()}
    if keyword in ("default", "enum", "const", "example", "examples"):
        return member  # values, no schemas
    return plain(member)


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    kinds = schema.get("type")
    if not isinstance(kinds, list):
        return schema
    others = [kind for kind in kinds if kind != "null"]
    if len(others) != 1 or len(others) == len(kinds):
        return schema
    enum = schema.get("enum")
    if isinstance(enum, list):
        schema["enum"] = [one for one in enum if one is not None]
    if others == ["string"] and schema.get("format") not in _FORMATS:
        schema.pop("format", None)
    return schema | {"type": others[0], "nullable": True}
