"""Which requests belong to one conversation: only to show them together, never to find
reasoning.
"""

import re
from collections.abc import Iterator, Mapping

from addon.formats.neutral.turn import Message
from addon.formats.wire.lenient import as_str
from addon.recall.identity import digest, query_of
from addon.translation.pair import ClientRequest

__all__ = ("conversation_of",)

_HEADERS = (
    "thread-id",  # Codex
    "conversation_id",  # Codex before 2026
    "x-claude-code-session-id",
    "session-id",
    "session_id",
    "x-session-id",  # opencode
    "x-session-affinity",
)
_SESSION = re.compile(r"session(?:_id\"\s*:\s*\"|_)([0-9A-Za-z-]{8,64})")
"""Claude Code's `metadata.user_id`: `user_…_account_…_session_<uuid>`, or JSON with a
`session_id`.
"""

_LONGEST_USER = 4096
"""Characters in which a session is looked for; Claude Code's have some 200."""

_LETTERS = 24
"""Hexadecimal digits: 96 bits, as many as an exchange's own id has."""


def conversation_of(principal_id: str, headers: Mapping[str, str], request: ClientRequest) -> str:
    """24 hexadecimal digits for the conversation that a request of the principal goes on
    with; empty: not known.

    Clients that name it are believed; of others the first words of the user tell, so that
    chats with the same first words are one.
    """
    kind, words = "named", next(filter(None, _names(headers, request)), "")
    if not words:
        kind, words = "words", _first_words(request.messages)
    if not words:
        return ""
    return digest(principal_id, kind, words).hex()[:_LETTERS]


def _names(headers: Mapping[str, str], request: ClientRequest) -> Iterator[str]:
    """What the client calls the conversation, the surest name first; some are empty."""
    metadata = request.metadata
    yield as_str(metadata.get("cursorConversationId"))
    user = request.user or as_str(metadata.get("user_id"))
    session = _SESSION.search(user[:_LONGEST_USER])
    if session is not None:
        yield session[1]
    yield from (headers.get(name, "") for name in _HEADERS)
    yield request.cache_key


def _first_words(messages: list[Message]) -> str:
    """What the user typed first.

    Cursor and Codex put messages with surroundings, alike in many chats, before it.
    """
    opening: list[Message] = []
    for message in messages:
        if opening and message.role in ("assistant", "tool"):
            break
        if message.role == "user":
            opening.append(message)
    texts = [message.text for message in opening]
    typed = (text for text in texts if "<user_query>" in text)
    return query_of(next(typed, "".join(texts[-1:])))
