"""Holds plain values, as a TOML file gives them, against a struct: every mismatch is found,
not only the first.
"""

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from msgspec import inspect

from shared.config.lines import KeyPath

__all__ = ("Finding", "Rule", "Rules", "between", "check", "closest")


class Finding(NamedTuple):
    """What is wrong with a value, or with what stands at `path` below it. Never quotes a
    value: it may be a secret.
    """

    message: str
    path: KeyPath = ()


type Rule = Callable[[Any], Iterable[Finding]]
"""Looks at one value that has the right type; what is inside a table or list is still unchecked."""

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
}
LARGEST = 2**63 - 1


def check(value: Any, kind: inspect.Type, rules: Rules, place: str = "") -> Iterator[Finding]:
    """Find all that keeps `msgspec.convert` from making a `kind` of `value`, and all that
    `rules` object to.
    """
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
    """Why the value can't be of this kind; empty when it can."""
    if isinstance(kind, inspect.AnyType):
        return ""
    if isinstance(kind, inspect.LiteralType):
        choices = [str(choice) for choice in kind.values]
        return (
            ""
            if value in kind.values
            else f"must be one of {', '.join(choices)}{closest(value, choices)}"
        )
    accepted, wanted = wanted_types(kind)
    if type(value) in accepted:
        return ""
    if isinstance(value, dict) and wanted == "a list of tables":
        return "must be a list of tables: write its name in double brackets, [[ and ]]"
    return (
        f"must be {wanted}, not "
        f"{NOUNS.get(type(value), 'a table' if isinstance(value, dict) else 'a date')}"
    )


def wanted_types(kind: inspect.Type) -> tuple[tuple[type, ...], str]:
    """The Python types that fit and their name in a message; a new kind of field is taught here."""
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
        case inspect.NoneType():
            return (), ""  # TOML has no null: it stands for a key that is left out
        case inspect.UnionType(types=kinds):
            accepted, wanted = zip(*map(wanted_types, kinds), strict=True)
            return tuple(one for each in accepted for one in each), " or ".join(
                filter(None, wanted)
            )
    raise TypeError(f"configuration has no check for {kind}")


def member(value: Any, kind: inspect.Type) -> inspect.Type:
    """The member of a union that the value is; any other kind as it is."""
    kinds = kind.types if isinstance(kind, inspect.UnionType) else (kind,)
    return next(each for each in kinds if not mismatch(value, each))


def default_rule(kind: inspect.Type) -> Rule | None:
    """No setting is negative unless its own rule lets it be."""
    return between(0, LARGEST) if isinstance(kind, inspect.IntType | inspect.FloatType) else None


def parts(
    value: Any, kind: inspect.Type, place: str
) -> Iterator[tuple[str | int, Any, inspect.Type, str]]:
    """What stands inside a table or list, each with its key, kind and place."""
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
    known = [field.encode_name for field in kind.fields]
    for key in table:
        if key not in known:
            yield Finding(f"is not a known key{closest(key, known)}", (key,))
    for field in kind.fields:
        if field.required and field.encode_name not in table:
            yield Finding("is missing", (field.encode_name,))


def closest(word: object, choices: Iterable[str]) -> str:
    """A did-you-mean to end a message with; empty when nothing is close."""
    matches = difflib.get_close_matches(str(word), list(choices), n=1)
    return f" (did you mean {matches[0]}?)" if matches else ""


def between(low: float, high: float) -> Rule:
    """The number must lie within the bounds, ends included; refuses NaN."""
    wanted = f"must be {low} or more" if high == LARGEST else f"must be from {low} to {high}"
    return lambda number: () if low <= number <= high else (Finding(wanted),)
