"""How long a request is, counted before it is read."""

from addon.formats.neutral.request import refused, too_many, too_much_in_it
from addon.formats.wire.pace import breathe
from addon.formats.wire.pieces import Cut, Pieces
from addon.formats.wire.splice import MalformedJson, Members, count, members
from addon.formats.wire.weight import count_values, has_more

__all__ = ("cut_unless_long", "refuse_long")

_CONVERSATION = ("messages", "input")
_TOOLS = ("tools", "functions")
_REMEDY = "start a new chat, or raise max_messages"

VALUES_OF_A_MESSAGE = 12
"""JSON values that a message may have on average: a tool call has eight with its message."""

MOST_BESIDE = 20_000
"""JSON values that a member may have which is no conversation and no tools."""

FEWEST_VALUES = 100_000
"""JSON values that any request may have: a hundred tools have some ten thousand."""


def cut_unless_long(body: bytes, most: int, known: Pieces) -> Cut | None:
    """The body with its conversation in pieces, None when it can't be cut so. Raises RequestError
    as `refuse_long` does.
    """
    begun, allowed = known.begin(body), _most_values(most)
    if begun is not None and begun.separators > allowed and begun.values(allowed) > allowed:
        raise too_much_in_it(allowed, _REMEDY)
    cut = known.cut(begun)
    if begun is None or cut is None:
        refuse_long(body, most)
        return None
    if begun.commas >= most:
        _refuse_others(cut.outline)
        _refuse_many(cut.outline, most, len(cut.pieces))
    return cut


def refuse_long(body: bytes, most: int) -> None:
    """Raise RequestError for a body of any format with more than `most` messages and items,
    or tools.
    """
    allowed = _most_values(most)
    values = count_values(body, allowed)
    if values > allowed:
        raise too_much_in_it(allowed, _REMEDY)
    if not has_more(body, b",", most):
        return  # that many elements have one comma less between them, and counting commas is quick
    breathe()
    try:
        parts = members(body)
        _refuse_others(parts)
        _refuse_many(parts, most)
    except MalformedJson as error:
        raise refused("invalid_json", f"The request is refused: {error}.") from error


def _most_values(most: int) -> int:
    return max(FEWEST_VALUES, VALUES_OF_A_MESSAGE * most)


def _refuse_many(parts: Members, most: int, more: int = 0) -> None:
    """`more` messages stand beside these members."""
    conversation, tools = more + _count(parts, _CONVERSATION, most), _count(parts, _TOOLS, most)
    if conversation > most:
        raise too_many("messages", conversation, most, _REMEDY)
    if tools > most:
        raise too_many("tools", tools, most, _REMEDY)


def _refuse_others(parts: Members) -> None:
    for name, raw in parts:
        if name in _CONVERSATION or name in _TOOLS:
            continue
        if raw[:1] in (b"[", b"{") and count_values(raw, MOST_BESIDE) > MOST_BESIDE:
            raise too_much_in_it(MOST_BESIDE, f"make '{name[:40]}' smaller")


def _count(parts: Members, names: tuple[str, ...], most: int) -> int:
    """How many elements the arrays of these names have."""
    return sum(count(raw, most) for name, raw in parts if name in names and raw.startswith(b"["))
