"""Which requests belong to one conversation: only to show them together, never to find
reasoning.
"""

import re
from collections.abc import Iterator, Mapping

from addon.formats.neutral.turn import Message
from addon.formats.wire.lenient import text
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

_LETTERS = 24


def conversation_of(principal_id: str, headers: Mapping[str, str], request: ClientRequest) -> str:
    """24 hexadecimal digits for the conversation that a request of the principal goes on
    with; empty: not known.

    Clients that name it are believed; of others the first words of the user tell, so that
    chats with the same first words are one.
    """
    named = next(filter(None, _named(headers, request)), "")
    words = named or _first_words(request.messages)
    return (
        digest(principal_id, "named" if named else "words", words).hex()[:_LETTERS] if words else ""
    )


def _named(headers: Mapping[str, str], request: ClientRequest) -> Iterator[str]:
    """What the client calls the conversation, the surest name first; some are empty."""
    metadata = request.metadata
    yield text(metadata.get("cursorConversationId"))
    session = _SESSION.search(request.user or text(metadata.get("user_id")))
    yield session[1] if session else ""
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
    typed = (one for one in opening if "<user_query>" in one.text)
    first = next(typed, opening[-1] if opening else None)
    return query_of(first.text) if first else ""
