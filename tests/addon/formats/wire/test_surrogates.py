"""Lone surrogates are replaced in JSON text, and nothing else is."""

import pytest

from addon.formats.wire.surrogates import without_lone_surrogates


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
