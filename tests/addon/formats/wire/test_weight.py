"""The values of a text are counted without making any, and never too few."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addon.formats.wire.weight import STEP, count_values

JSON = st.recursive(
    st.none() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5),
    max_leaves=20,
)


def values_in(node: object) -> int:
    """How many values a value is made of, itself included."""
    if isinstance(node, list):
        return 1 + sum(map(values_in, node))
    if isinstance(node, dict):
        return 1 + sum(map(values_in, node.values()))
    return 1


@given(node=JSON, ascii_only=st.booleans())
def test_no_value_is_missed(node: object, ascii_only: bool) -> None:
    text = json.dumps(node, ensure_ascii=ascii_only).encode()
    most = values_in(node) - 2
    assert most < 0 or count_values(text, most) > most
    assert count_values(text, 10**6) == 10**6


@pytest.mark.parametrize("filler", ["x", ",", "[", '"', "\\", "\\\\,", 'a","b'])
@pytest.mark.parametrize("length", [STEP - 1, STEP, 3 * STEP + 1])
def test_what_stands_in_strings_is_no_value(filler: str, length: int) -> None:
    said = filler * (length // len(filler))
    assert count_values(json.dumps([said, 1, said]).encode(), 3) <= 3


def test_counting_ends_when_there_are_too_many() -> None:
    assert 1000 < count_values(b"[" + b"[]," * 10**6 + b"1]", 1000) < 3 * STEP


@pytest.mark.parametrize("text", [b"", b'"', b'"\\', b'["' + b"," * 9, b"," * 9 + b'"\\'])
def test_what_is_no_json_is_counted_as_far_as_it_goes(text: bytes) -> None:
    assert count_values(text, 5) >= 0
