"""Thinking as Anthropic binds it: what was issued, and what is wrong with what comes back.

Rules: https://platform.claude.com/docs/en/build-with-claude/thinking and
…/preserved-thinking; the refusals are the API's own words
(github.com/anthropics/claude-code/issues/10199).
"""

import json
from collections.abc import Iterator
from typing import Any

import msgspec

from tests.support.turns import Json

__all__ = ("Signatures", "blocks_of", "state_of", "thinks")

_THINKING = ("thinking", "redacted_thinking")


class Issued(msgspec.Struct, frozen=True):
    """A thinking block as it went out."""

    block: Json
    prefix: str
    """The conversation before it, without thinking."""

    chain: list[str]
    """The states of all thinking before it."""

    turn: list[str]
    """The states of its whole turn, and where its calls stand among them."""


class Signatures:
    """Remembers every block that is issued; `chain`: each is bound to the conversation
    before it, too.
    """

    def __init__(self, *, chain: bool) -> None:
        self._chain = chain
        self._issued: dict[str, Issued] = {}

    def add(self, body: Json, content: list[Json]) -> None:
        """Remember the answer to a request."""
        at = len(body["messages"])
        prefix, chain, turn = _prefix(body, at), _chain(body["messages"]), _places(content)
        for block in content:
            if state := state_of(block):
                self._issued[state] = Issued(block, prefix, list(chain), turn)
                chain.append(state)

    def forget(self) -> None:
        """Whatever was issued is somebody else's from here on."""
        self._issued.clear()

    def fault(self, body: Json) -> str:
        """What is wrong with the thinking in a request, in Anthropic's words; empty when
        nothing is.
        """
        return next(self._faults(body), "")

    def _faults(self, body: Json) -> Iterator[str]:
        for where, block in _thoughts(body["messages"]):
            yield from self._unknown(where, block)
        yield from self._modified(body["messages"])
        if thinks(body) and body["thinking"]["type"] == "enabled":
            yield from _headless(body["messages"])
        if self._chain:
            yield from self._unbound(body)

    def _unknown(self, where: str, block: Json) -> Iterator[str]:
        if not state_of(block):
            member = "signature" if block["type"] == "thinking" else "data"
            yield f"{where}.{block['type']}.{member}: Field required"
        issued = self._issued.get(state_of(block))
        if issued is None or issued.block != _bare(block):
            member = "signature" if block["type"] == "thinking" else "data"
            yield f"{where}: Invalid `{member}` in `{block['type']}` block"

    def _modified(self, messages: list[Json]) -> Iterator[str]:
        at, content = next(_assistants(messages[::-1]), (0, []))
        at = len(messages) - 1 - at
        for number, block in enumerate(content):
            if block["type"] in _THINKING and self._issued[state_of(block)].turn != _places(
                content
            ):
                yield (
                    f"messages.{at}.content.{number}: `thinking` or `redacted_thinking` "
                    "blocks in the latest assistant "
                    "message cannot be modified. These blocks must remain as they were "
                    "in the original response."
                )

    def _unbound(self, body: Json) -> Iterator[str]:
        """The oldest thinking before a block may be missing; nothing may be in its place,
        and nothing further back.
        """
        chain: list[str] = []
        for where, block in _thoughts(body["messages"]):
            issued = self._issued[state_of(block)]
            kept = issued.chain[len(issued.chain) - len(chain) :]
            at = int(where.split(".")[1])
            if (
                kept != chain
                or len(chain) > len(issued.chain)
                or issued.prefix != _prefix(body, at)
            ):
                yield f"{where}: The block is bound to a different conversation"
            chain.append(state_of(block))


def thinks(body: Json) -> bool:
    """Whether a request asks for thinking."""
    return (body.get("thinking") or {}).get("type") in ("enabled", "adaptive")


def state_of(block: Json) -> str:
    """The signature or the redacted state of a block; empty for any other block."""
    return (
        str(block.get("signature") or block.get("data") or "") if block["type"] in _THINKING else ""
    )


def blocks_of(content: Any) -> list[Json]:
    """The blocks of a content: a string is a block of text."""
    return [{"type": "text", "text": content}] if isinstance(content, str) else list(content)


def _assistants(messages: list[Json]) -> Iterator[tuple[int, list[Json]]]:
    for at, message in enumerate(messages):
        if message["role"] == "assistant":
            yield at, blocks_of(message["content"])


def _thoughts(messages: list[Json]) -> Iterator[tuple[str, Json]]:
    for at, content in _assistants(messages):
        for number, block in enumerate(content):
            if block["type"] in _THINKING:
                yield f"messages.{at}.content.{number}", block


def _headless(messages: list[Json]) -> Iterator[str]:
    """In the running loop of tool calls the last turn begins with thinking."""
    *_, last = messages
    if len(messages) < 2 or not any(
        block["type"] == "tool_result" for block in blocks_of(last["content"])
    ):
        return
    first = blocks_of(messages[-2]["content"])[0]["type"]
    if first not in _THINKING:
        yield (
            f"messages.{len(messages) - 2}.content.0.type: Expected `thinking` or "
            "`redacted_thinking`, but found "
            f"`{first}`. When `thinking` is enabled, a final `assistant` message must "
            "start with a thinking block "
            "(preceeding the lastmost set of `tool_use` and `tool_result` blocks)."
        )


def _places(content: list[Json]) -> list[str]:
    """The states and the calls of a turn, in their order; ids are nobody's affair."""
    return [
        state_of(block) or "call" for block in content if block["type"] in (*_THINKING, "tool_use")
    ]


def _chain(messages: list[Json]) -> list[str]:
    return [state_of(block) for _, block in _thoughts(messages)]


def _prefix(body: Json, at: int) -> str:
    """What stands before a message, however its texts and cache marks are spelt."""
    system = _unmarked(blocks_of(body.get("system") or []))
    said = [
        (
            message["role"],
            [block for block in _unmarked(blocks_of(message["content"])) if not state_of(block)],
        )
        for message in body["messages"][:at]
    ]
    return json.dumps([system, _unmarked(body.get("tools") or []), said], sort_keys=True)


def _unmarked(blocks: list[Json]) -> list[Json]:
    return [
        {key: kept for key, kept in block.items() if key != "cache_control"} for block in blocks
    ]


def _bare(block: Json) -> Json:
    return _unmarked([block])[0]
