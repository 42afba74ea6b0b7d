"""Schemas of tools as Anthropic takes them: an object's, without a choice at the top
(github.com/langchain-ai/langchain/issues/39271).
"""

from typing import Any

from addon.formats.wire.lenient import as_dict, dicts_in, strings_in

__all__ = ("CHOICES", "flat")

CHOICES = ("allOf", "anyOf", "oneOf")
"""Keywords that Anthropic refuses at the top of a tool's schema."""


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
