"""Conversations as Cursor leads them: which turn gets its reasoning back."""

from collections.abc import AsyncIterator

import msgspec

from manage_api.domains.doctor.cursor import (
    AZURE,
    MODES,
    OPENAI,
    VERIFY,
    Chat,
    ChatError,
    Mode,
    Way,
)
from manage_api.domains.doctor.door import Door
from manage_api.domains.doctor.findings import Finding, fault, ok
from manage_api.domains.doctor.installation import Installation
from shared.doctor import issue_token

__all__ = ("check_cursor",)

MODEL = "thinkback-doctor"
"""A name that Cursor sends plain Chat Completions for."""

_MAX_TURNS = 5
"""The stand-in needs three with tools."""

_VERIFY_PASSES = "Cursor's Verify passes all the same, as it asks without tools"


class _Report(msgspec.Struct):
    """What the stand-in says in its last turn: each turn's state."""

    turns: list[str]


async def check_cursor(installation: Installation, door: Door) -> AsyncIterator[Finding]:
    """Lead a conversation in each of Cursor's modes, with the stand-in."""
    verified = await _check(installation, door, VERIFY, OPENAI)
    yield verified
    passes = verified.verdict == "ok"
    for mode in MODES:
        yield await _check(installation, door, mode, OPENAI, verified=passes)
    yield await _check(installation, door, MODES[1], AZURE, verified=passes)


async def _check(
    installation: Installation, door: Door, mode: Mode, way: Way, *, verified: bool = False
) -> Finding:
    token = issue_token(installation.secret, now=installation.clock.now_ms() // 1000)
    chat = Chat(door, token, mode=mode, model=MODEL, agent="thinkback-doctor", way=way)
    name = f"Cursor {mode.name}"
    if way is AZURE:
        name = "Cursor Azure path"
    try:
        states = await _talk(chat, mode)
    except ChatError as error:
        remedy = "See that the proxy in front passes all paths and methods on, and the log."
        if verified:
            remedy = f"{remedy[:-1]}. {_VERIFY_PASSES}."
        return fault(name, f"The conversation ended: {error}.", remedy)
    return _judge(name, states, way)


async def _talk(chat: Chat, mode: Mode) -> list[str]:
    """Talk until the stand-in reports; return the states of the replayed turns."""
    if mode is VERIFY:
        chat.say("Testing. Just say hi and nothing else.")
        await chat.ask()
        return []
    chat.say("Read README.md, then LICENSE, then say what is in them.")
    for at in range(_MAX_TURNS):
        reply = await chat.ask()
        if not reply.calls and at:
            return msgspec.json.decode(reply.text, type=_Report).turns
        if not reply.calls:
            chat.say("And now?")
    raise ChatError("the stand-in went on calling tools")


def _judge(name: str, states: list[str], way: Way) -> Finding:
    told = ", ".join(f"turn {at}: {state}" for at, state in enumerate(states, 1))
    if any(state != "restored" for state in states):
        return fault(
            name,
            f"Reasoning did not come back: {told}.",
            "See the request on the page Requests: it says how each turn was looked for, and why "
            "it was not found.",
        )
    if way is AZURE:
        return ok(
            name,
            f"{told}. Where a plan has no “{OPENAI.name}”, enter the address without /v1 under "
            f"“{AZURE.name}”.",
        )
    if not states:
        return ok(name, "It answers.")
    return ok(name, f"Reasoning came back: {told}.")
