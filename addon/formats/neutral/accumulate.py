"""Deltas become turns: pieces are collected and joined once."""

from addon.formats.neutral.deltas import (
    CallDelta,
    Delta,
    Finish,
    ForeignItem,
    OpaqueDelta,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
    UsageReport,
    Words,
)
from addon.formats.neutral.turn import (
    Foreign,
    Part,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
    Turn,
    Usage,
    turn_of,
)

__all__ = ("Accumulator",)


class _Call:
    def __init__(self) -> None:
        self.id = ""
        self.name = ""
        self.custom = False
        self.arguments: list[str] = []

    def add(self, delta: CallDelta) -> None:
        self.id = self.id or delta.id
        self.name = self.name or delta.name
        self.custom = delta.custom
        if delta.arguments:
            self.arguments.append(delta.arguments)

    def finished(self) -> ToolCall:
        return ToolCall(self.id, self.name, "".join(self.arguments), self.custom)


class _Words(list[str]):
    """Pieces of a text or, when the model declines, of a refusal."""

    part: type[Text] | type[Refusal] = Text

    def finished(self) -> Text | Refusal | None:
        text = "".join(self)
        if not text:
            return None
        return self.part(text)


class _Refusal(_Words):
    part = Refusal


class _Thought:
    def __init__(self) -> None:
        self.fields: dict[str, list[str]] = {}
        self.opaque: OpaqueDelta | None = None

    def finished(self) -> Reasoning:
        text, field = _first_text(self.fields)
        state = self.opaque
        if state is None:
            return Reasoning(text, field)
        return Reasoning(text, field, state.opaque, state.carrier, state.id)


class _Item:
    def __init__(self, delta: ForeignItem) -> None:
        self._item = Foreign(delta.wire_format, delta.item)

    def finished(self) -> Foreign:
        return self._item


type _Piece = _Words | _Thought | _Call | _Item


class _Choice:
    """The pieces of one choice, by kind and place, in the order of their beginnings."""

    def __init__(self) -> None:
        self.texts: dict[int, _Words] = {}
        self.thoughts: dict[int, _Thought] = {}
        self.calls: dict[int, _Call] = {}
        self.pieces: list[_Piece] = []
        self.finish_reason = ""
        self.stop_sequence = ""

    def thought(self, part: int) -> _Thought:
        return self.thoughts.get(part) or self._begun(self.thoughts, part, _Thought())

    def call(self, index: int) -> _Call:
        return self.calls.get(index) or self._begun(self.calls, index, _Call())

    def words(self, part: int) -> _Words:
        # Looked up by key, since an empty list of pieces is false.
        if part in self.texts:
            return self.texts[part]
        return self._begun(self.texts, part, _Words())

    def refusal(self, part: int) -> _Words:
        # The complement keeps a refusal apart from the text of the same part.
        if ~part in self.texts:
            return self.texts[~part]
        return self._begun(self.texts, ~part, _Refusal())

    def add_item(self, delta: ForeignItem) -> None:
        self.pieces.append(_Item(delta))

    def turn(self) -> Turn:
        # Calls stand in the order of their indexes, in the places where calls began.
        calls = iter(sorted(self.calls))
        parts: list[Part] = []
        for piece in self.pieces:
            if isinstance(piece, _Call):
                parts.append(self.calls[next(calls)].finished())
                continue
            part = piece.finished()
            if part is not None:
                parts.append(part)
        return turn_of(parts, self.finish_reason, self.stop_sequence)

    def _begun[P: _Piece](self, pieces: dict[int, P], at: int, piece: P) -> P:
        pieces[at] = piece
        self.pieces.append(piece)
        return piece


class Accumulator:
    """Collects the deltas of one answer; `turns` gives what has come at any time."""

    def __init__(self) -> None:
        self._choices: dict[int, _Choice] = {}
        self.usage: Usage | None = None

    def add(self, delta: Delta) -> None:
        """Take one step."""
        match delta:
            case TextDelta() | ReasoningDelta() | RefusalDelta():
                self.pieces(delta).append(delta.text)
            case CallDelta():
                self._choice(delta.choice).call(delta.index).add(delta)
            case OpaqueDelta():
                self._choice(delta.choice).thought(delta.part).opaque = delta
            case ForeignItem():
                self._choice(delta.choice).add_item(delta)
            case Finish():
                choice = self._choice(delta.choice)
                choice.finish_reason, choice.stop_sequence = delta.reason, delta.stop_sequence
            case UsageReport():
                self.usage = delta.usage

    def pieces(self, delta: Words) -> list[str]:
        """The pieces of the text that the delta adds to."""
        choice = self._choice(delta.choice)
        match delta:
            case TextDelta():
                return choice.words(delta.part)
            case ReasoningDelta():
                return choice.thought(delta.part).fields.setdefault(delta.field, [])
            case RefusalDelta():
                return choice.refusal(delta.part)
            case CallDelta():
                return choice.call(delta.index).arguments

    @property
    def finished(self) -> bool:
        """Whether there is a choice and every choice is whole."""
        choices = self._choices.values()
        return bool(choices) and all(choice.finish_reason for choice in choices)

    def turns(self) -> dict[int, Turn]:
        """The turn of each choice, as far as it came."""
        return {index: choice.turn() for index, choice in self._choices.items()}

    def _choice(self, index: int) -> _Choice:
        return self._choices.get(index) or self._choices.setdefault(index, _Choice())


def _first_text(reasoning: dict[str, list[str]]) -> tuple[str, str]:
    """The text and name of the first field that holds any, else an empty text and the first name.

    Servers that use two names send the same text under both.
    """
    for field, pieces in reasoning.items():
        text = "".join(pieces)
        if text:
            return text, field
    return "", next(iter(reasoning), "")
