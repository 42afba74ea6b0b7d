"""Chat upstreams' carriers of reasoning besides plain strings, as state that goes back as it came.

- `reasoning_details`: an array of typed items
  (https://openrouter.ai/docs/guides/best-practices/reasoning-tokens);
- `<think>` tags at the beginning of the content: the state is everything before the visible text;
- `content[].thinking`: an array of typed chunks of the content
  (https://docs.mistral.ai/capabilities/reasoning);
- `extra_content` beside a tool call, whose place is the state's `id`
  (https://ai.google.dev/gemini-api/docs/thought-signatures).
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
from addon.formats.wire.lenient import dicts_in
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
"""The member with the array of typed items."""

CARRIERS = (DETAILS, THINK, THINKING_CHUNK, ANNEX)
"""Carriers of state that only chat upstreams have."""

SHOWN = "reasoning_content"
"""The member in which clients get reasoning that stood in the content: most of them read it."""

type Changes = dict[str, bytes]
"""Members to set in a delta or message, as JSON texts; an empty text removes the member."""


class Quirks(msgspec.Struct, frozen=True):
    """An upstream's peculiar ways to answer."""

    tags: bool = False
    """Content may begin with `<think>`."""

    repeats: bool = False
    """The same step of reasoning may come twice."""


def annex_of(extra_content: object, place: int, choice: int = 0) -> OpaqueDelta:
    """The annex of the tool call at `place`."""
    state = scalar_text(extra_content).decode()
    # Part 0 is the reasoning itself.
    return OpaqueDelta(state, ANNEX, choice, 1 + place, str(place))


def is_bound(reasoning: Reasoning) -> bool:
    """Whether only the account that made its state may send it back."""
    if reasoning.carrier == DETAILS:
        return any(map(is_secret, dicts_in(value(reasoning.opaque.encode()))))
    return bool(reasoning.opaque) and reasoning.carrier not in (THINK, THINKING_CHUNK)


class Carrying:
    """Collects the state of one choice; `read` takes its steps, or the whole message as one."""

    def __init__(self, choice: int, quirks: Quirks) -> None:
        self._choice = choice
        self._repeats = quirks.repeats
        self._last = ""
        self._tags: Tags | None = None
        if quirks.tags:
            self._tags = Tags()
        self._details = Details()
        self._chunks: list[tuple[dict[str, Any], list[str]]] = []
        """The thinking chunks, each with the pieces of its text."""

        self._grown = False
        """Whether the state has grown since the last `OpaqueDelta`."""

    @property
    def is_settled(self) -> bool:
        """Whether steps in plain strings are what they seem, and no state waits for them."""
        has_text = self._tags is None or self._tags.done
        return has_text and not (self._grown or self._repeats)

    def read(
        self, deltas: list[Delta], details: Any, content: Any, *, ends: bool
    ) -> tuple[list[Delta], Changes]:
        """The deltas with the thinking parted from the text, and the changes for the client.

        `ends`: no more content of this choice follows, since its calls or its finish have come.
        """
        if self.is_settled and not (isinstance(details, list) or isinstance(content, list)):
            return deltas, {}
        changes: Changes = {}
        thoughts = [delta for delta in deltas if isinstance(delta, ReasoningDelta)]
        rest: list[Delta] = [delta for delta in deltas if not isinstance(delta, ReasoningDelta)]
        if self._repeats and thoughts:
            thoughts = self._fresh(thoughts, changes)
        if isinstance(details, list):
            self._details.add(details)
            self._grown = True
        if isinstance(content, list):
            changes |= self._flattened(content, thoughts, rest)
        elif self._tags is not None:
            thoughts, rest = self._parted(self._tags, thoughts, rest, changes, ends=ends)
        if ends or any(isinstance(delta, TextDelta | RefusalDelta | CallDelta) for delta in rest):
            thoughts += self._state()
        return [*thoughts, *rest], changes

    def _fresh(self, thoughts: list[ReasoningDelta], changes: Changes) -> list[ReasoningDelta]:
        """The steps without a repetition of the last one (xAI repeats them)."""
        if thoughts[0].text and thoughts[0].text == self._last:
            changes |= dict.fromkeys((delta.field for delta in thoughts), b"")
            return []
        self._last = thoughts[0].text
        return thoughts

    def _flattened(
        self, content: list[Any], thoughts: list[ReasoningDelta], rest: list[Delta]
    ) -> Changes:
        """Keep the thinking chunks; chat clients read an answer's content as a string."""
        for chunk in content:
            self._add_chunk(chunk)
        text = "".join(delta.text for delta in rest if isinstance(delta, TextDelta))
        thought = "".join(delta.text for delta in thoughts if delta.field == THINKING_CHUNK)
        return _shown(thought, text)

    def _add_chunk(self, chunk: Any) -> None:
        if not is_thinking(chunk):
            return
        if not (self._grown and self._chunks):
            self._chunks.append(({}, []))
        members, pieces = self._chunks[-1]
        members |= chunk
        pieces.append(thought_of(chunk) or "")
        self._grown = True

    def _parted(
        self,
        tags: Tags,
        thoughts: list[ReasoningDelta],
        rest: list[Delta],
        changes: Changes,
        *,
        ends: bool,
    ) -> tuple[list[ReasoningDelta], list[Delta]]:
        if any(delta.text for delta in thoughts):
            tags.leave()  # the reasoning has a field of its own
        self._grown = self._grown or not tags.done
        text = "".join(delta.text for delta in rest if isinstance(delta, TextDelta))
        thought, visible = tags.feed(text)
        if ends:
            late_thought, late_text = tags.close()
            thought, visible = thought + late_thought, visible + late_text
        if visible == text and not thought:
            return thoughts, rest
        changes |= _shown(thought, visible)
        if thought:
            thoughts.append(ReasoningDelta(thought, THINK, self._choice))
        rest = [delta for delta in rest if not isinstance(delta, TextDelta)]
        if visible:
            rest.insert(0, TextDelta(visible, self._choice))
        return thoughts, rest

    def _state(self) -> list[Any]:
        """The whole state so far, if it has grown."""
        grown, self._grown = self._grown, False
        if not grown:
            return []
        if self._tags is not None and self._tags.head:
            return [OpaqueDelta(self._tags.head, THINK, self._choice)]
        if self._chunks:
            chunks = [
                members | {"thinking": [{"type": "text", "text": "".join(pieces)}]}
                for members, pieces in self._chunks
            ]
            return [OpaqueDelta(scalar_text(chunks).decode(), THINKING_CHUNK, self._choice)]
        if self._details.given:
            return [OpaqueDelta(self._details.text, DETAILS, self._choice)]
        return []


def _shown(thought: str, text: str) -> Changes:
    """The client's members of a content that held this thought and this text."""
    if not thought:
        return {"content": scalar_text(text)}
    return {"content": scalar_text(text or None), SHOWN: scalar_text(thought)}
