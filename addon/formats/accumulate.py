"""Deltas become turns: pieces are collected and joined once."""

from addon.formats.deltas import CallDelta, Delta, Finish, ReasoningDelta, TextDelta, UsageReport
from addon.formats.turn import Reasoning, ToolCall, Turn, Usage

__all__ = ("Accumulator",)


class _Call:
    def __init__(self) -> None:
        self.id = ""
        self.name = ""
        self.arguments: list[str] = []

    def add(self, delta: CallDelta) -> None:
        self.id = self.id or delta.id
        self.name = self.name or delta.name
        if delta.arguments:
            self.arguments.append(delta.arguments)

    def finished(self) -> ToolCall:
        return ToolCall(self.id, self.name, "".join(self.arguments))


class _Choice:
    def __init__(self) -> None:
        self.text: list[str] = []
        self.reasoning: dict[str, list[str]] = {}
        self.calls: dict[int, _Call] = {}
        self.finish_reason = ""

    def turn(self) -> Turn:
        return Turn(
            text="".join(self.text),
            calls=tuple(self.calls[index].finished() for index in sorted(self.calls)),
            reasoning=_first_said(self.reasoning),
            finish_reason=self.finish_reason,
        )


class Accumulator:
    """Collects the deltas of one answer; `turns` may be asked for at any time."""

    def __init__(self) -> None:
        self._choices: dict[int, _Choice] = {}
        self.usage: Usage | None = None

    def add(self, delta: Delta) -> None:
        """Take one step."""
        match delta:
            case ReasoningDelta():
                self._choice(delta.choice).reasoning.setdefault(delta.field, []).append(delta.text)
            case TextDelta():
                self._choice(delta.choice).text.append(delta.text)
            case CallDelta():
                self._choice(delta.choice).calls.setdefault(delta.index, _Call()).add(delta)
            case Finish():
                self._choice(delta.choice).finish_reason = delta.reason
            case UsageReport():
                self.usage = delta.usage

    @property
    def finished(self) -> bool:
        """Whether every choice that has said something is whole."""
        return bool(self._choices) and all(choice.finish_reason for choice in self._choices.values())

    def turns(self) -> dict[int, Turn]:
        """The turn of each choice, as far as it came."""
        return {index: choice.turn() for index, choice in self._choices.items()}

    def _choice(self, index: int) -> _Choice:
        return self._choices.setdefault(index, _Choice())


def _first_said(reasoning: dict[str, list[str]]) -> Reasoning | None:
    """Servers that use two names send the same text under both: the first name that holds any is the one."""
    joined = {field: "".join(pieces) for field, pieces in reasoning.items()}
    for field, text in joined.items():
        if text:
            return Reasoning(text, field)
    return next((Reasoning(text, field) for field, text in joined.items()), None)
