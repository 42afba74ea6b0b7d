"""Reasoning of one caller never reaches another, nor another family of providers (F13)."""

import tempfile
from collections.abc import Iterable
from pathlib import Path

from tests.addon.recall.chat import Chat, Memory, call, turn
from tests.harden.figure import Figure, at_scale

__all__ = ("figures",)

USERS = ("user:1", "user:11")
PROFILES = ("deepseek-v4", "glm")
LONG = "The same answer for everybody, which is long enough to be recognised by its text alone."


def figures() -> Iterable[Figure]:
    pairs = at_scale(20, 2500, 10_000)
    with tempfile.TemporaryDirectory() as directory:
        memory = Memory(Path(directory, "adapter.db"))
        crossed = found = wanted = 0
        for number in range(pairs):
            chats = _alike(memory, number)
            for name, chat in chats.items():
                own, others = _carried(chat, name)
                wanted += 2
                found += own
                crossed += others
        memory.engine.close()
    scale = (
        f"{pairs:,} times the same conversation, ids and texts, of {len(USERS)} users at "
        f"{len(PROFILES)} families"
    )
    measured = f"{crossed} turns crossed, {found:,} of {wanted:,} own ones restored"
    yield Figure("F13", scale, measured, "0, and all", crossed == 0 and found == wanted)


def _alike(memory: Memory, number: int) -> dict[str, Chat]:
    """The conversations, which differ in nothing but whose they are and what was thought."""
    chats = {}
    for user in USERS:
        for profile in PROFILES:
            name = f"{user} {profile}"
            chat = Chat(memory, f"Fix bug {number}.", principal=user, profile=profile)
            chat.answer(turn(f"{name} {number} first", "", call()))
            chat.answer(turn(f"{name} {number} second", LONG))
            chats[name] = chat
    return chats


def _carried(chat: Chat, name: str) -> tuple[int, int]:
    """How many turns carry their own reasoning, and how many another's."""
    carried = [text for text in chat.carried() if text]
    own = sum(text.startswith(f"{name} ") for text in carried)
    return own, len(carried) - own
