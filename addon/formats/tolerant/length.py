"""How long a request is, counted before it is read."""

from addon.formats.neutral.request import refused, too_many
from addon.formats.wire.splice import MalformedJson, Members, count, members

__all__ = ("refuse_long",)

_CONVERSATION = ("messages", "input")
_TOOLS = ("tools", "functions")
_REMEDY = "start a new chat, or raise max_messages"


def refuse_long(body: bytes, most: int) -> None:
    """Raise RequestError for a body of any format with more than `most` messages and items,
    or tools.
    """
    if body.count(b",") < most:
        return  # that many elements have one comma less between them, and counting commas is quick
    try:
        parts = members(body)
        conversation, tools = _count(parts, _CONVERSATION, most), _count(parts, _TOOLS, most)
    except MalformedJson as error:
        raise refused("invalid_json", f"The request is refused: {error}.") from error
    if conversation > most:
        raise too_many("messages", conversation, most, _REMEDY)
    if tools > most:
        raise too_many("tools", tools, most, _REMEDY)


def _count(parts: Members, names: tuple[str, ...], most: int) -> int:
    """How many elements the arrays of these names have."""
    return sum(count(raw, most) for name, raw in parts if name in names and raw.startswith(b"["))
