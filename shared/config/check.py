"""Checks plain values from a TOML file against a struct, and finds every mismatch."""

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from msgspec import inspect

from shared.config.lines import KeyPath

__all__ = ("Finding", "Rule", "Rules", "between", "check", "closest")


class Finding(NamedTuple):
    """A fault in a value, or in what is at `path` below it.

    The message never quotes the value, which may be a secret.
    """

    message: str
    path: KeyPath = ()


type Rule = Callable[[Any], Iterable[Finding]]
"""Checks one value of the right type; what is inside a table or list is still unchecked."""

type Rules = Mapping[str, Rule]
"""Rules by place: `server.listen_addr`, or `upstreams[].name` for each of a list, or
`headers{}`, each of a table.
"""

NOUNS = {
    str: "text",
    bool: "true or false",
    int: "a whole number",
    float: "a decimal number",
    list: "a list",
    dict: "a table",
}
"""TOML's only other values are dates and times."""

LARGEST = 2**63 - 1
"""TOML integers have 64 bits; to people it is the same as no limit."""


def check(value: Any, kind: inspect.Type, rules: Rules, place: str = "") -> Iterator[Finding]:
    """Find everything that `msgspec.convert` or the rules would refuse in the value."""
    if wrong := mismatch(value, kind):
        yield Finding(wrong)
        return
    kind = member(value, kind)
    if isinstance(kind, inspect.StructType):
        yield from unfit_keys(value, kind)
    if rule := rules.get(place, default_rule(kind)):
        yield from rule(value)
    for key, item, item_kind, item_place in parts(value, kind, place):
        for finding in check(item, item_kind, rules, item_place.removeprefix(".")):
            yield Finding(finding.message, (key, *finding.path))


def mismatch(value: Any, kind: inspect.Type) -> str:
    """Explain why the value is not of this kind; empty when it is."""
    if isinstance(kind, inspect.AnyType):
        return ""
    if isinstance(kind, inspect.LiteralType):
        if value in kind.values:
            return ""
        choices = [str(choice) for choice in kind.values]
        return f"must be one of {', '.join(choices)}{closest(value, choices)}"
    accepted, wanted = wanted_types(kind)
    if type(value) in accepted or value in words(kind):
        return ""
    if isinstance(value, str) and words(kind):
        return f"must be {wanted}{closest(value, words(kind))}"
    if isinstance(value, dict) and wanted == "a list of tables":
        return "must be a list of tables: put its name in double brackets, [[ and ]]"
    return f"must be {wanted}, not {NOUNS.get(type(value), 'a date')}"


def wanted_types(kind: inspect.Type) -> tuple[tuple[type, ...], str]:
    """Return the Python types that fit, and their name in a message.

    A new kind of field needs a case here.
    """
    match kind:
        case inspect.StrType():
            return (str,), "text"
        case inspect.BoolType():
            return (bool,), "true or false"
        case inspect.IntType():
            return (int,), "a whole number"
        case inspect.FloatType():
            return (int, float), "a number"
        case inspect.VarTupleType(item_type=inspect.StructType()):
            return (list,), "a list of tables"
        case inspect.VarTupleType():
            return (list,), "a list"
        case inspect.StructType() | inspect.DictType():
            return (dict,), "a table"
        case inspect.LiteralType(values=values):
            return (), " or ".join(f'"{value}"' for value in values)
        case inspect.NoneType():
            return (), ""  # TOML has no null: it stands for a key that is left out
        case inspect.UnionType(types=kinds):
            accepted, wanted = zip(*map(wanted_types, kinds), strict=True)
            types = tuple(kind for group in accepted for kind in group)
            return types, " or ".join(filter(None, wanted))
    raise TypeError(f"configuration has no check for {kind}")


def words(kind: inspect.Type) -> list[str]:
    """Return the words that stand for themselves beside values of other kinds."""
    if not isinstance(kind, inspect.UnionType):
        return []
    literals = [each for each in kind.types if isinstance(each, inspect.LiteralType)]
    return [str(word) for each in literals for word in each.values]


def member(value: Any, kind: inspect.Type) -> inspect.Type:
    """Return the member of a union that fits the value; any other kind as it is."""
    if not isinstance(kind, inspect.UnionType):
        return kind
    return next(each for each in kind.types if not mismatch(value, each))


def default_rule(kind: inspect.Type) -> Rule | None:
    """No setting is negative unless its own rule lets it be."""
    if isinstance(kind, inspect.IntType | inspect.FloatType):
        return between(0, LARGEST)
    return None


def parts(
    value: Any, kind: inspect.Type, place: str
) -> Iterator[tuple[str | int, Any, inspect.Type, str]]:
    """Yield what is inside a table or list, with its key, kind and place."""
    match kind:
        case inspect.StructType(fields=fields):
            for field in fields:
                if field.encode_name in value:
                    key = field.encode_name
                    yield key, value[key], field.type, f"{place}.{key}"
        case inspect.VarTupleType(item_type=item_kind):
            for index, item in enumerate(value):
                yield index, item, item_kind, f"{place}[]"
        case inspect.DictType(value_type=item_kind):
            for key, item in value.items():
                yield key, item, item_kind, f"{place}{{}}"


def unfit_keys(table: dict[str, Any], kind: inspect.StructType) -> Iterator[Finding]:
    names = [field.encode_name for field in kind.fields]
    for key in table:
        if key not in names:
            yield Finding(f"is not a known key{closest(key, names)}", (key,))
    for field in kind.fields:
        if field.required and field.encode_name not in table:
            yield Finding("is missing", (field.encode_name,))


def closest(word: object, choices: Iterable[str]) -> str:
    """Return a suggestion to end a message with; empty when nothing is close."""
    matches = difflib.get_close_matches(str(word), list(choices), n=1)
    if not matches:
        return ""
    return f" (did you mean {matches[0]}?)"


def between(low: float, high: float) -> Rule:
    """Return the rule that a number is within the bounds, ends included; it refuses NaN."""
    message = f"must be from {low} to {high}"
    if high == LARGEST:
        message = f"must be {low} or more"

    def rule(number: float) -> Iterator[Finding]:
        if not low <= number <= high:
            yield Finding(message)

    return rule
