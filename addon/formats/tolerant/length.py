"""How long a request is, counted before it is read."""

from addon.formats.neutral.request import too_many
from addon.formats.wire.splice import MalformedJson, count, members

__all__ = ("refuse_long",)

_CONVERSATION = ("messages", "input")
_TOOLS = ("tools", "functions")
_REMEDY = "start a new chat, or raise max_messages"


def refuse_long(body: bytes, most: int) -> None:
    """Raise RequestError for a body of any format with more than `most` messages and items,
    or tools.

    A body that is not JSON passes: whoever reads it says so.
    """
    if body.count(b",") < most:
        return  # as many elements have one comma less between them; counting those takes no time
    try:
        conversation, tools = _count(body, _CONVERSATION, most), _count(body, _TOOLS, most)
    except MalformedJson:
        return
    if conversation > most:
        raise too_many("messages", conversation, most, _REMEDY)
    if tools > most:
        raise too_many("tools", tools, most, _REMEDY)


def _count(body: bytes, names: tuple[str, ...], most: int) -> int:
    """How many elements the arrays of these names have."""
    return sum(
        count(raw, most) for name, raw in members(body) if name in names and raw.startswith(b"[")
    )
