"""The strict provider's memory of what it issued, and its judgement of what comes back."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Literal

import msgspec

from tests.support.turns import FIELD, Call, Json, Turn, canonical, text_of

__all__ = ("Fault", "Foreign", "Ledger", "Rejection", "Scope", "thinking_disabled")

type Scope = Literal["all", "tools", "tool_turns", "current_calls", "none"]
"""Which assistant turns must carry their reasoning; `tools`: all, when the request has tools.

`current_calls`: turns with calls after the user's last words.
"""

type Foreign = Literal["empty", "absent", "any", "reject"]
"""What a turn that was never issued must carry: `""`, no field, anything; `reject`: refused
while thinking is on.
"""

type Fault = Literal[
    "missing", "altered", "foreign", "unknown id", "orphan result", "unknown member", "duplicate"
]


class Rejection(msgspec.Struct, frozen=True):
    """One message of a request that broke the rules."""

    fault: Fault
    index: int
    message: Json


class Ledger:
    """All turns one provider issued; turns are found by their shape (text and calls), so
    ids may repeat.
    """

    def __init__(
        self, scope: Scope = "tools", foreign: Foreign = "empty", field: str = FIELD
    ) -> None:
        self.issued: list[Turn] = []
        self._reasonings: defaultdict[Turn, set[str]] = defaultdict(set)
        self._by_call: defaultdict[tuple[str, str], set[Turn]] = defaultdict(set)
        self._by_text: defaultdict[str, set[Turn]] = defaultdict(set)
        self.any_ids = False
        """Whether calls may come back under other ids, as most providers let them."""

        self._scope = scope
        self._foreign = foreign
        self._field = field

    def add(self, turn: Turn) -> None:
        shape = _shape(turn.text, turn.calls)
        self.issued.append(turn)
        self._reasonings[shape].add(turn.reasoning or "")
        self._by_text[shape.text].add(shape)
        for call in shape.calls:
            self._by_call[call.name, call.arguments].add(shape)

    def check(self, request: Json) -> Rejection | None:
        """The first broken rule, or None; with thinking disabled only the tool-call ids are
        looked at.
        """
        messages = request["messages"]
        for index, message in enumerate(messages):
            if fault := self._orphan(messages[:index], message) or self._judge(request, message):
                return Rejection(fault, index, message)
        return None

    def _judge(self, request: Json, message: Json) -> Fault | None:
        if message["role"] != "assistant":
            return None
        sent = _sent_shape(message)
        alike = [shape for shape in self._pool(sent) if _is_part(sent, shape, ids=False)]
        own = alike if self.any_ids else [shape for shape in alike if _is_part(sent, shape)]
        if alike and not own:
            return "unknown id"
        if thinking_disabled(request) or not self._in_scope(request, message):
            return None
        carried = message.get(self._field)
        return (
            self._judge_own([sent] if sent in own else own, carried)
            if own
            else self._judge_foreign(carried)
        )

    def _pool(self, sent: Turn) -> Iterable[Turn]:
        for call in sent.calls:
            return self._by_call[call.name, call.arguments]
        return self._by_text.get(sent.text) or self._reasonings

    def _in_scope(self, request: Json, message: Json) -> bool:
        match self._scope:
            case "tools":
                return bool(request.get("tools"))
            case "tool_turns":
                return bool(message.get("tool_calls"))
            case "current_calls":
                messages = request["messages"]
                last = max(at for at, one in enumerate(messages) if one["role"] == "user")
                return bool(message.get("tool_calls")) and any(
                    one is message for one in messages[last:]
                )
            case scope:
                return scope == "all"

    def _judge_own(self, shapes: list[Turn], carried: str | None) -> Fault | None:
        if carried is None:
            return "missing"
        return None if any(carried in self._reasonings[shape] for shape in shapes) else "altered"

    def _judge_foreign(self, carried: str | None) -> Fault | None:
        accepted = {"empty": carried == "", "absent": carried is None, "any": True, "reject": False}
        return None if accepted[self._foreign] else "foreign"

    def _orphan(self, before: list[Json], message: Json) -> Fault | None:
        if message["role"] != "tool":
            return None
        calls = next(
            (m.get("tool_calls") or [] for m in reversed(before) if m["role"] == "assistant"), []
        )
        return (
            None if message["tool_call_id"] in {call["id"] for call in calls} else "orphan result"
        )


def thinking_disabled(request: Json) -> bool:
    """Whether the request turns thinking off, the way DeepSeek, Kimi, GLM and MiMo spell it."""
    return bool((request.get("thinking") or {}).get("type") == "disabled")


def _shape(text: str, calls: Iterable[Call]) -> Turn:
    spelt = tuple(Call(call.id, call.name, canonical(call.arguments)) for call in calls)
    return Turn(reasoning=None, text=text.strip(), calls=spelt)


def _sent_shape(message: Json) -> Turn:
    calls = ((call["id"], call["function"]) for call in message.get("tool_calls") or ())
    named = (Call(call_id, function["name"], function["arguments"]) for call_id, function in calls)
    return _shape(text_of(message.get("content")), named)


def _is_part(sent: Turn, issued: Turn, *, ids: bool = True) -> bool:
    """Whether `sent` is `issued`, or what a stopped stream or a dropped call left of it."""
    known = {call if ids else _anonymous(call) for call in issued.calls}
    calls = {call if ids else _anonymous(call) for call in sent.calls}
    return calls <= known and bool(calls or sent.text) and issued.text.startswith(sent.text)


def _anonymous(call: Call) -> Call:
    return Call("", call.name, call.arguments)
