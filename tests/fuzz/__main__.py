"""Fuzz one target: `python -m tests.fuzz TARGET [option of libFuzzer or folder …]`.

Needs atheris, of the dependency group `fuzz`.
"""

import json
import random
import re
import sys
from typing import Any

import atheris  # type: ignore[import-not-found,import-untyped,unused-ignore]

with atheris.instrument_imports(include=["addon.admission.client", "addon.formats"]):
    from tests.fuzz.targets import JSON, TARGETS

ODD: tuple[Any, ...] = (
    *(None, True, 0, -1, 1.5, 2**63, "", "x", "\ud800", "{", [], {}, [None], [[]], {"": None}),
    *("text", "tool_use", "function_call", "reasoning", "thinking", "user", "tool", "assistant"),
)
"""What might stand where something else belongs."""

_OBJECT = re.compile(rb"(?m)^(?:data: )?(\{)")


def mutate(data: bytes, most: int, seed: int) -> bytes:
    """Bytes as libFuzzer mutates them, or JSON with one value or key replaced."""
    chance = random.Random(seed)
    starts = [match.start(1) for match in _OBJECT.finditer(data)]
    start = chance.choice(starts) if starts else 0
    try:
        text = data[start:].decode()
        found, end = json.JSONDecoder().raw_decode(text)
        nodes = list(_nodes(found))
    except (ValueError, RecursionError):
        nodes = []
    if not nodes or chance.random() < 0.25:
        return bytes(atheris.Mutate(data, most))
    _replace(chance.choice(nodes), chance.choice([*ODD, *nodes]), chance)
    return (data[:start] + json.dumps(_copied(found, 12)).encode() + text[end:].encode())[:most]


def _nodes(found: Any) -> Any:
    """All objects and arrays within."""
    if isinstance(found, dict | list):
        yield found
        for each in found.values() if isinstance(found, dict) else found:
            yield from _nodes(each)


def _replace(holder: Any, new: Any, chance: random.Random) -> None:
    keys = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
    if not keys:
        return
    at = chance.choice(keys)
    if chance.random() < 0.2:
        del holder[at]
    else:
        holder[at] = new


def _copied(found: Any, depth: int) -> Any:
    """The value, to that depth: one that was put within itself ends there."""
    if depth and isinstance(found, dict):
        return {key: _copied(each, depth - 1) for key, each in found.items()}
    if depth and isinstance(found, list):
        return [_copied(each, depth - 1) for each in found]
    return None if isinstance(found, dict | list) else found


def main() -> None:
    name, options = sys.argv[1], sys.argv[2:]
    ways = {"custom_mutator": mutate} if name in JSON else {}
    atheris.Setup([sys.argv[0], *options], TARGETS[name], **ways)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
