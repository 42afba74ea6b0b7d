"""Lone surrogates are replaced in JSON text, and nothing else is."""

import json

import pytest

from addon.formats.wire.surrogates import without_lone_surrogates
from tests.support.breaths import breaths


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(rb'"a \ud83d b"', rb'"a \ufffd b"', id="high"),
        pytest.param(rb'"a \uDE00"', rb'"a \ufffd"', id="low"),
        pytest.param(rb'"\ud83d\ud83d\ude00"', rb'"\ufffd\ud83d\ude00"', id="high before a pair"),
        pytest.param(rb'"\ude00\ud83d"', rb'"\ufffd\ufffd"', id="the wrong way round"),
        pytest.param(rb'"\uD83D\uDE00 \u00e9 \n"', rb'"\uD83D\uDE00 \u00e9 \n"', id="a pair"),
        pytest.param(rb'"\\ud83d"', rb'"\\ud83d"', id="no escape at all"),
        pytest.param(rb'"\\\ud83d"', rb'"\\\ufffd"', id="after an escaped backslash"),
        pytest.param('{ "é": 1e400 }'.encode(), '{ "é": 1e400 }'.encode(), id="none"),
    ],
)
def test_only_halves_of_pairs_are_replaced(text: bytes, expected: bytes) -> None:
    assert without_lone_surrogates(text) == expected


@pytest.mark.parametrize("unit", [rb"\ud800x", rb"\ud83d\ude00", rb"\\ud800\\", b"x", rb"\n"])
def test_others_go_on_while_a_long_text_is_mended(unit: bytes) -> None:
    text = rb'"\ud800' + unit * (1_000_000 // len(unit)) + b'"'
    mended, count = breaths(lambda: without_lone_surrogates(text))
    whole = json.loads(text).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    assert json.loads(mended) == whole
    assert len(mended) == len(text)
    assert count
