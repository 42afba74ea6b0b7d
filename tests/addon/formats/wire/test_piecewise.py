"""JSON that the strict reader refuses is read piece by piece, to what the standard library makes
of it, and what is wrong with it is found.
"""

import json
import random
from typing import Any

import pytest

from addon.formats.wire.piecewise import read
from tests.support.breaths import breaths

LENIENT = json.JSONDecoder(strict=False)
MEGABYTE = 1024 * 1024
FILLERS = {
    "plain": "x",
    "letters": "ä漢😀",
    "escapes": "\\u00e4",
    "pairs": "\\ud83d\\ude00",
    "halves": "\\ud83dx\\ude00",
    "quotes": '\\"\\\\',
    "control characters": "\n\t",
    "backslashes before a u": "\\\\ud83d",
}


@pytest.mark.parametrize("filler", FILLERS.values(), ids=FILLERS)
def test_a_long_string_is_what_it_would_be_at_once(filler: str) -> None:
    text = f'"{filler * (2 * MEGABYTE // len(filler))}"'
    (found, end), count = breaths(lambda: read(LENIENT, text, 0))
    assert found == LENIENT.decode(text)
    assert end == len(text)
    assert count >= 4


def some_value(chance: random.Random, depth: int = 0) -> Any:
    kinds = ["text", "number", "none", *(["list", "dict"] * 3 if depth < 4 else [])]
    match chance.choice(kinds):
        case "text":
            return "a\ud83d\n" * chance.randrange(2000)
        case "number":
            return chance.choice([0, -1.5, 1e300, float("inf"), 10**40])
        case "list":
            return [some_value(chance, depth + 1) for _ in range(chance.randrange(30))]
        case "dict":
            return {f"k{n}": some_value(chance, depth + 1) for n in range(chance.randrange(30))}
    return None


@pytest.mark.parametrize("seed", range(8))
def test_any_value_is_what_it_would_be_at_once(seed: int) -> None:
    chance = random.Random(seed)
    node = [some_value(chance), "x" * MEGABYTE, some_value(chance)]
    text = f" {json.dumps(node, indent=chance.choice([None, 1]))} "
    found, end = read(LENIENT, text, 1)
    assert found == node
    assert end == len(text) - 1


def test_of_two_members_with_one_name_the_last_counts() -> None:
    text = '{"a":1,"b":"' + "x" * MEGABYTE + '","a":2}'
    assert read(LENIENT, text, 0)[0]["a"] == 2


LONG_TEXT = '"' + "x" * MEGABYTE + '"'


@pytest.mark.parametrize(
    "text",
    [
        LONG_TEXT[:-1],
        f"[{LONG_TEXT},]",
        f"[{LONG_TEXT} {LONG_TEXT}]",
        f"[{LONG_TEXT}",
        f"[nul,{LONG_TEXT}]",
        f"{{{LONG_TEXT}}}",
        f"{{1:{LONG_TEXT}}}",
        f'{{"a":{LONG_TEXT},}}',
        f'["\\x",{LONG_TEXT}]',
        LONG_TEXT[:-1] + '\\x"',
        LONG_TEXT[:-1] + '\\u12"',
    ],
)
def test_what_is_wrong_is_found(text: str) -> None:
    with pytest.raises(ValueError, match=r"char|expected"):
        read(LENIENT, text, 0)


def test_what_is_nested_too_deeply_is_no_crash() -> None:
    with pytest.raises(RecursionError):
        read(LENIENT, "[" * MEGABYTE, 0)
