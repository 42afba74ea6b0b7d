"""How much a model is to think, in the words of Messages and as an effort for everybody else.

`thinking` and `output_config.effort`:
https://platform.claude.com/docs/en/build-with-claude/thinking. Some models take a budget of
tokens, new ones decide themselves and take an effort.
"""

from typing import Any

import msgspec

from addon.formats.neutral.adapt import Abilities
from addon.formats.neutral.request import Request, Thinking
from addon.formats.wire.lenient import integer, record, text

__all__ = ("effort_of", "read", "written")

_BUDGETS = {
    "minimal": 1_024,
    "low": 2_048,
    "medium": 8_192,
    "high": 16_384,
    "xhigh": 24_576,
    "max": 32_768,
}
"""Tokens that an effort stands for, as in pi (github.com/badlogic/pi-mono, packages/ai)."""

_LEAST_BUDGET = 1_024


class Written(msgspec.Struct, frozen=True):
    """What a body says of thinking."""

    thinking: dict[str, Any]
    """The `thinking` member; empty: none."""

    effort: str

    @property
    def on(self) -> bool:
        """Whether the model is told to think."""
        return bool(self.thinking) and self.thinking["type"] != "disabled"


def read(found: dict[str, Any]) -> Thinking:
    """What the `thinking` and `output_config` of a body say."""
    given = record(found.get("thinking"))
    switch, display = text(given.get("type")), text(given.get("display"))
    seen = switch not in ("", "disabled") and display != "omitted"
    return Thinking(
        effort=text(record(found.get("output_config")).get("effort")),
        budget=integer(given.get("budget_tokens")),
        switch=switch,
        display=display,
        summary="auto" if seen else "",
    )


def effort_of(thinking: Thinking) -> str:
    """The effort that was named, or that a budget stands for."""
    if thinking.effort or thinking.budget is None or thinking.switch == "disabled":
        return thinking.effort
    efforts = ("low", "medium", "high")
    return next((effort for effort in efforts if thinking.budget <= _BUDGETS[effort]), "high")


def written(request: Request, max_tokens: int, abilities: Abilities) -> Written:
    """What to tell a Messages upstream.

    A budget is less than `max_tokens`, and no tool may be forced beside it.
    """
    said, own = request.thinking, request.origin == "messages"
    effort = said.effort if own and abilities.efforts else ""
    if said.switch == "disabled" or said.effort == "none":
        return Written({"type": "disabled"}, effort)
    if not said.switch and (own or not (said.effort or said.budget)):
        return Written({}, effort)
    shown = {"display": said.display} if own else {"display": "summarized"} if said.summary else {}
    shown = {key: kept for key, kept in shown.items() if kept}
    counts = own and said.switch == "enabled"
    if abilities.adaptive_thinking and not (counts and abilities.budgets):
        kind = said.switch if own and not counts else "adaptive"
        return Written({"type": kind, **shown}, _known(effort_of(said)))
    budget = _fitting(said.budget or _BUDGETS.get(said.effort, _BUDGETS["medium"]), max_tokens)
    if budget is None or (
        request.tool_choice is not None and request.tool_choice.mode == "required"
    ):
        return Written({"type": "disabled"}, effort)
    return Written({"type": "enabled", "budget_tokens": budget, **shown}, effort)


def _known(effort: str) -> str:
    return "low" if effort == "minimal" else effort


def _fitting(budget: int, max_tokens: int) -> int | None:
    """A budget that leaves something to say the answer with; None when there is no room for one."""
    fitting = budget if budget < max_tokens else max_tokens * 4 // 5
    return max(fitting, _LEAST_BUDGET) if max_tokens > _LEAST_BUDGET else None
