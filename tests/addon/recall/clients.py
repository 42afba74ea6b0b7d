"""What clients make of the messages of a `Chat`."""

from collections.abc import Callable

from tests.addon.recall.chat import Chat, Json

__all__ = ("parts", "replace_ids", "shorten_ids")

type Rename = Callable[[int, str], str]


def replace_ids(chat: Chat, message: Json | None = None) -> None:
    """Replace the ids of a turn, or of the latest, by the client's own."""
    _rename(chat, message, lambda at, _: f"own_{len(chat.messages)}_{at}")


def shorten_ids(chat: Chat, message: Json | None = None) -> None:
    """Keep nine characters of each id, as upstreams of Mistral's kind want."""
    _rename(chat, message, lambda at, made: f"{made[5:13]}{at}")


def parts(message: Json) -> Json:
    """The message with its content in parts."""
    if not isinstance(message.get("content"), str):
        return message
    text = message["content"]
    halves = [{"type": "text", "text": half} for half in (text[:2], text[2:])]
    return {**message, "content": halves}


def _rename(chat: Chat, message: Json | None, name: Rename) -> None:
    if message is None:
        message = next(one for one in reversed(chat.messages) if one.get("tool_calls"))
    for at, made in enumerate(message["tool_calls"]):
        own = name(at, made["id"])
        for other in chat.messages:
            if other.get("tool_call_id") == made["id"]:
                other["tool_call_id"] = own
        made["id"] = own
