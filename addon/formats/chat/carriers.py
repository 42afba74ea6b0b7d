"""Where chat upstreams put reasoning besides plain strings, as state of `Reasoning` that
goes back as it came.

`reasoning_details`   an array of typed items
(https://openrouter.ai/docs/guides/best-practices/reasoning-tokens) `<think>`
tags at the beginning of the content; the state is everything before the visible text
`content[].thinking`  typed chunks of the content
(https://docs.mistral.ai/capabilities/reasoning), as an array `extra_content`       beside a
tool call, whose place is the `id`
(https://ai.google.dev/gemini-api/docs/thought-signatures)
"""

from typing import Any

import msgspec

from addon.formats.chat.details import Details, is_secret
from addon.formats.chat.patch_request import ANNEX
from addon.formats.chat.tags import THINK, Tags
from addon.formats.neutral.deltas import (
    CallDelta,
    Delta,
    OpaqueDelta,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
)
from addon.formats.neutral.turn import Reasoning
from addon.formats.tolerant.content import THINKING_CHUNK, is_thinking, thought_of
from addon.formats.wire.lenient import objects
from addon.formats.wire.splice import scalar_text, value

__all__ = (
    "ANNEX",
    "CARRIERS",
    "DETAILS",
    "SHOWN",
    "THINK",
    "THINKING_CHUNK",
    "Carrying",
    "Changes",
    "Quirks",
    "annex_of",
    "is_bound",
)

DETAILS = "reasoning_details"
CARRIERS = (DETAILS, THINK, THINKING_CHUNK, ANNEX)
"""Carriers of state that only chat upstreams have."""

SHOWN = "reasoning_content"
"""Where clients get reasoning that stood in the content."""

type Changes = dict[str, bytes]
"""Members to set in a delta or message, as JSON texts; empty ones are left out."""


class Quirks(msgspec.Struct, frozen=True):
    """How an upstream's answers are to be read."""

    tags: bool = False
    """Content may begin with `<think>`."""

    repeats: bool = False
    """The same step of reasoning may come twice."""


def annex_of(given: object, place: int, choice: int = 0) -> OpaqueDelta:
    """The annex of the tool call at `place`."""
    return OpaqueDelta(scalar_text(given).decode(), ANNEX, choice, 1 + place, str(place))


def is_bound(reasoning: Reasoning) -> bool:
    """Whether it holds state that only the account that made it may send back."""
    if reasoning.carrier == DETAILS:
        return any(map(is_secret, objects(value(reasoning.opaque.encode()))))
    return bool(reasoning.opaque) and reasoning.carrier not in (THINK, THINKING_CHUNK)


class Carrying:
    """What one choice of an answer carries; `read` takes its steps, or the whole message as one."""

    def __init__(self, choice: int, quirks: Quirks) -> None:
        self._choice = choice
        self._repeats = quirks.repeats
        self._last = ""
        self._tags = Tags() if quirks.tags else None
        self._details = Details()
        self._chunks: list[tuple[dict[str, Any], list[str]]] = []
        """The thinking chunks, each with the pieces of its text."""

        self._grown = False
        """Whether there is more state than was told."""

    def read(
        self, said: list[Delta], details: Any, content: Any, *, ends: bool
    ) -> tuple[list[Delta], Changes]:
        """The deltas with the thinking parted from what is `said`, and what the client gets
        instead.

        `ends`: no more content of this choice follows, as its calls or its finish have
        come.
        """
        settled = self._tags is None or self._tags.done
        if settled and not (
            self._grown or self._repeats or isinstance(details, list) or isinstance(content, list)
        ):
            return said, {}
        changes: Changes = {}
        thoughts = [delta for delta in said if isinstance(delta, ReasoningDelta)]
        rest: list[Delta] = [delta for delta in said if not isinstance(delta, ReasoningDelta)]
        if self._repeats and thoughts:
            thoughts = self._fresh(thoughts, changes)
        if isinstance(details, list):
            self._details.add(details)
            self._grown = True
        if isinstance(content, list):
            changes |= self._flattened(content, thoughts, rest)
        elif self._tags is not None:
            thoughts, rest = self._parted(thoughts, rest, changes, ends=ends)
        if ends or any(isinstance(delta, TextDelta | RefusalDelta | CallDelta) for delta in rest):
            thoughts += self._state()
        return [*thoughts, *rest], changes

    def _fresh(self, thoughts: list[ReasoningDelta], changes: Changes) -> list[ReasoningDelta]:
        """The steps without those that say what the last one said (xAI repeats them)."""
        if thoughts[0].text and thoughts[0].text == self._last:
            changes |= dict.fromkeys((delta.field for delta in thoughts), b"")
            return []
        self._last = thoughts[0].text
        return thoughts

    def _flattened(
        self, content: list[Any], thoughts: list[ReasoningDelta], rest: list[Delta]
    ) -> Changes:
        """Keep the thinking chunks; chat clients know contents of answers as strings."""
        for chunk in content:
            self._add_chunk(chunk)
        text = "".join(delta.text for delta in rest if isinstance(delta, TextDelta))
        thought = "".join(delta.text for delta in thoughts if delta.field == THINKING_CHUNK)
        return _shown(thought, text)

    def _add_chunk(self, chunk: Any) -> None:
        if not is_thinking(chunk):
            return
        if self._grown and self._chunks:
            known, pieces = self._chunks[-1]
            known |= chunk
        else:
            self._chunks.append((dict(chunk), pieces := []))
        pieces.append(thought_of(chunk) or "")
        self._grown = True

    def _parted(
        self, thoughts: list[ReasoningDelta], rest: list[Delta], changes: Changes, *, ends: bool
    ) -> tuple[list[ReasoningDelta], list[Delta]]:
        assert self._tags is not None
        if any(delta.text for delta in thoughts):
            self._tags.leave()  # the reasoning has a field of its own
        self._grown = self._grown or not self._tags.done
        text = "".join(delta.text for delta in rest if isinstance(delta, TextDelta))
        thought, visible = self._tags.feed(text)
        if ends:
            late_thought, late_text = self._tags.close()
            thought, visible = thought + late_thought, visible + late_text
        if visible == text and not thought:
            return thoughts, rest
        changes |= _shown(thought, visible)
        if thought:
            thoughts.append(ReasoningDelta(thought, THINK, self._choice))
        shown: list[Delta] = [TextDelta(visible, self._choice)] if visible else []
        return thoughts, [*shown, *(delta for delta in rest if not isinstance(delta, TextDelta))]

    def _state(self) -> list[Any]:
        """The state so far, when there is more of it than was told."""
        grown, self._grown = self._grown, False
        if not grown:
            return []
        if self._tags is not None and self._tags.head:
            return [OpaqueDelta(self._tags.head, THINK, self._choice)]
        if self._chunks:
            whole = [
                chunk | {"thinking": [{"type": "text", "text": "".join(text)}]}
                for chunk, text in self._chunks
            ]
            return [OpaqueDelta(scalar_text(whole).decode(), THINKING_CHUNK, self._choice)]
        return (
            [OpaqueDelta(self._details.text, DETAILS, self._choice)] if self._details.given else []
        )


def _shown(thought: str, text: str) -> Changes:
    shown = {SHOWN: scalar_text(thought)} if thought else {}
    return {"content": scalar_text(text) if text or not thought else b"null", **shown}
