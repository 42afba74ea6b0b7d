"""A stream of chat chunks as the whole answer that says the same: some servers stream unasked."""

from collections.abc import Iterator
from typing import Any

from addon.formats.neutral.deltas import CUT
from addon.formats.wire import sse
from addon.formats.wire.lenient import as_dict, as_int, dicts_in
from addon.formats.wire.splice import MalformedJson, scalar_text, value

__all__ = ("whole_of",)

_TEXTS = frozenset(
    (
        *("arguments", "content", "data", "reasoning", "reasoning_content", "reasoning_text"),
        *("refusal", "signature", "summary", "text", "thinking"),
    )
)
"""Members whose texts go on from piece to piece; of any other the latest counts."""


def whole_of(body: bytes) -> bytes:
    """The whole answer in the events; one that does not end is an error."""
    answer: dict[str, Any] = {}
    choices: dict[int, dict[str, Any]] = {}
    for chunk in _chunks(body):
        for position, choice in enumerate(dicts_in(chunk.pop("choices", None))):
            number = as_int(choice.get("index"))
            if number is None:
                number = position
            _join(choices.setdefault(number, {}), choice)
        answer |= {name: member for name, member in chunk.items() if member is not None}
    if "error" not in answer and not _ended(choices):
        answer["error"] = {"message": CUT.message, "code": CUT.code}
    answer |= {"object": "chat.completion", "choices": list(map(_whole, choices.values()))}
    return scalar_text(answer)


def _chunks(body: bytes) -> Iterator[dict[str, Any]]:
    for raw in sse.Events().feed(body + b"\n\n"):
        try:
            yield as_dict(value(sse.said_by(raw) or b"{}"))
        except MalformedJson:
            continue  # what it said is missing at the end, which is told


def _ended(choices: dict[int, dict[str, Any]]) -> bool:
    return bool(choices) and all(choice.get("finish_reason") for choice in choices.values())


def _whole(choice: dict[str, Any]) -> dict[str, Any]:
    said, whole = as_dict(choice.pop("delta", None)), as_dict(choice.get("message"))
    if not any(text for name, text in said.items() if name != "role"):
        said |= whole  # some servers say all of it at once
    return choice | {"message": {"role": "assistant", "content": None} | said}


def _join(whole: dict[str, Any], piece: dict[str, Any]) -> None:
    """Add what a piece says: texts go on, objects are joined, elements with an index find
    theirs.
    """
    for name, more in piece.items():
        before = whole.get(name)
        if isinstance(before, dict) and isinstance(more, dict):
            _join(before, more)
        elif isinstance(before, list) and isinstance(more, list):
            _join_elements(before, more)
        elif name in _TEXTS and isinstance(before, str) and isinstance(more, str):
            whole[name] = before + more
        elif more is not None or name not in whole:
            whole[name] = more


def _join_elements(whole: list[Any], pieces: list[Any]) -> None:
    for piece in pieces:
        same = _element(whole, as_dict(piece).get("index"))
        if same is None:
            whole.append(piece)
        else:
            _join(same, piece)


def _element(whole: list[Any], number: Any) -> dict[str, Any] | None:
    if number is None:
        return None
    return next((one for one in dicts_in(whole) if one.get("index") == number), None)
