"""How much a model thinks, as Messages' `thinking` and `output_config.effort`
(https://platform.claude.com/docs/en/build-with-claude/thinking) and as an effort for others.

Some models take a budget of tokens; new ones take an effort and decide themselves.
"""

from typing import Any

import msgspec

from addon.formats.neutral.adapt import Abilities
from addon.formats.neutral.request import Request, Thinking
from addon.formats.wire.lenient import as_dict, as_int, as_str

__all__ = ("LEAST_TOP_P", "effort_of", "read", "written")

_BUDGETS = {
    "minimal": 1_024,
    "low": 2_048,
    "medium": 8_192,
    "high": 16_384,
    "xhigh": 24_576,
    "max": 32_768,
}
"""The budget of each effort, as in pi (github.com/badlogic/pi-mono, packages/ai)."""

_LEAST_BUDGET = 1_024
"""The least budget that the API takes."""


LEAST_TOP_P = 0.95
"""The least `top_p` that the API takes beside thinking
(https://platform.claude.com/docs/en/build-with-claude/extended-thinking).
"""


class Written(msgspec.Struct, frozen=True):
    """A body's words on thinking."""

    thinking: dict[str, Any]
    """The `thinking` member; empty: none."""

    effort: str

    @property
    def on(self) -> bool:
        """Whether thinking is switched on."""
        return bool(self.thinking) and self.thinking["type"] != "disabled"


def read(members: dict[str, Any]) -> Thinking:
    """The `thinking` and `output_config` of a body in neutral words."""
    thinking = as_dict(members.get("thinking"))
    switch, display = as_str(thinking.get("type")), as_str(thinking.get("display"))
    summary = ""
    if switch not in ("", "disabled") and display != "omitted":
        summary = "auto"
    return Thinking(
        effort=as_str(as_dict(members.get("output_config")).get("effort")),
        budget=as_int(thinking.get("budget_tokens")),
        switch=switch,
        display=display,
        summary=summary,
    )


def effort_of(thinking: Thinking) -> str:
    """The named effort, or the one that a budget stands for."""
    if thinking.effort or thinking.budget is None or thinking.switch == "disabled":
        return thinking.effort
    for effort in ("low", "medium"):
        if thinking.budget <= _BUDGETS[effort]:
            return effort
    return "high"


def written(request: Request, max_tokens: int, abilities: Abilities) -> Written:
    """The words on thinking for a Messages upstream.

    A budget is less than `max_tokens`, and no tool may be forced beside it.
    """
    wanted, own = request.thinking, request.origin == "messages"
    effort = ""
    if own and abilities.efforts:
        effort = wanted.effort
    elif abilities.efforts_beside_budgets and wanted.effort != "none":
        effort = _known(wanted.effort)
    if wanted.switch == "disabled" or wanted.effort == "none":
        return Written({"type": "disabled"}, effort)
    if not wanted.switch and (own or not (wanted.effort or wanted.budget)):
        return Written({}, effort)
    display = _display(wanted, own=own)
    has_budget = own and wanted.switch == "enabled"
    if abilities.adaptive_thinking and not (has_budget and abilities.budgets):
        kind = "adaptive"
        if own and not has_budget:
            kind = wanted.switch
        return Written({"type": kind, **display}, _known(effort_of(wanted)))
    budget = _fitting(wanted.budget or _BUDGETS.get(wanted.effort, _BUDGETS["medium"]), max_tokens)
    forces_tool = request.tool_choice is not None and request.tool_choice.mode == "required"
    if budget is None or forces_tool:
        return Written({"type": "disabled"}, effort)
    return Written({"type": "enabled", "budget_tokens": budget, **display}, effort)


def _display(wanted: Thinking, *, own: bool) -> dict[str, str]:
    display = wanted.display
    if not own:
        display = wanted.summary and "summarized"
    if not display:
        return {}
    return {"display": display}


def _known(effort: str) -> str:
    """The effort in Messages' words, which have no `minimal`."""
    if effort == "minimal":
        return "low"
    return effort


def _fitting(budget: int, max_tokens: int) -> int | None:
    """A budget that leaves room for the answer; None when there is no room for a budget."""
    if max_tokens <= _LEAST_BUDGET:
        return None
    if budget >= max_tokens:
        budget = max_tokens * 4 // 5
    return max(budget, _LEAST_BUDGET)
