from typing import Any, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import inspect

from shared.config.check import Finding, between, check


class Price(msgspec.Struct, frozen=True):
    input: float = 0


class Settings(msgspec.Struct, frozen=True):
    """Every kind of field a setting can have; none has a rule of its own."""

    name: str
    size: int = 1
    share: float = 0.5
    on: bool = False
    mode: Literal["fast", "slow"] = "fast"
    tags: tuple[str, ...] = ()
    labels: dict[str, str] = {}
    limit: int | None = None
    count: int | Literal["auto"] = 1
    price: Price = Price()
    prices: dict[str, Price] = {}
    list_: tuple[Price, ...] = msgspec.field(default=(), name="list")


KIND = inspect.type_info(Settings)


def findings(**table: object) -> list[Finding]:
    return list(check({"name": "any", **table}, KIND, {}))


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("name", 5, "must be text, not a whole number"),
        ("size", "5", "must be a whole number, not text"),
        ("size", True, "must be a whole number, not true or false"),
        ("size", 1.5, "must be a whole number, not a decimal number"),
        ("size", -1, "must be 0 or more"),
        ("size", 2**63, "must be 0 or more"),
        ("share", float("nan"), "must be 0 or more"),
        ("share", float("inf"), "must be 0 or more"),
        ("on", "yes", "must be true or false, not text"),
        ("mode", "fats", "must be one of fast, slow (did you mean fast?)"),
        ("mode", [], "must be one of fast, slow"),
        ("tags", "a", "must be a list, not text"),
        ("labels", [], "must be a table, not a list"),
        ("limit", -1, "must be 0 or more"),
        ("limit", "a", "must be a whole number, not text"),
        ("count", -1, "must be 0 or more"),
        ("count", "atuo", 'must be a whole number or "auto" (did you mean auto?)'),
        ("count", [], 'must be a whole number or "auto", not a list'),
        ("price", 1, "must be a table, not a whole number"),
        ("list", {}, "must be a list of tables: put its name in double brackets, [[ and ]]"),
    ],
)
def test_a_value_of_the_wrong_kind_is_found(key: str, value: object, message: str) -> None:
    assert findings(**{key: value}) == [Finding(message, (key,))]


def test_every_problem_is_found_at_its_own_place() -> None:
    found = findings(
        tags=["a", 1], labels={"x y": 2}, prices={"m": {"input": "1"}}, list=[{}, {"inptu": 1}]
    )

    assert [finding.path for finding in found] == [
        ("tags", 1),
        ("labels", "x y"),
        ("prices", "m", "input"),
        ("list", 1, "inptu"),
    ]


def test_an_unknown_key_suggests_the_known_one() -> None:
    assert findings(szie=1) == [Finding("is not a known key (did you mean size?)", ("szie",))]


def test_a_required_key_is_missed() -> None:
    assert list(check({}, KIND, {})) == [Finding("is missing", ("name",))]


def test_a_rule_sees_the_values_at_its_place() -> None:
    rules = {"list[].input": between(1, 2), "labels{}": lambda _: [Finding("is odd")]}
    table = {"name": "any", "list": [{"input": 1}, {"input": 3}], "labels": {"a": "b"}}

    assert list(check(table, KIND, rules)) == [
        Finding("is odd", ("labels", "a")),
        Finding("must be from 1 to 2", ("list", 1, "input")),
    ]


def test_a_kind_of_field_without_a_check_is_a_loud_mistake() -> None:
    class Odd(msgspec.Struct):
        when: bytes = b""

    with pytest.raises(TypeError, match="no check"):
        list(check({"when": 1}, inspect.type_info(Odd), {}))


leaves = st.sampled_from(
    ["fast", "x", 0, 3, -2, 0.5, True, [], {}, ["a"], {"input": 1}, [{"input": 2.5}], {"m": {}}]
)


@given(st.dictionaries(st.sampled_from([*Settings.__struct_encode_fields__, "other"]), leaves))
def test_what_is_not_objected_to_converts(table: dict[str, Any]) -> None:
    if not list(check(table, KIND, {})):
        msgspec.convert(table, Settings)
