"""What a chat body says of thinking, in the words of any upstream that has some.

OpenAI's `reasoning_effort`, OpenRouter's `reasoning`
(https://openrouter.ai/docs/guides/best-practices/reasoning-tokens), the `thinking` of DeepSeek,
Kimi, GLM and others (https://api-docs.deepseek.com/guides/thinking_mode), Qwen's `enable_thinking`
and `thinking_budget` (https://help.aliyun.com/zh/model-studio/deep-thinking), and the
`chat_template_kwargs` of vLLM and its kind
(https://docs.vllm.ai/en/latest/features/reasoning_outputs.html).
"""

from collections.abc import Mapping
from typing import Any

from addon.formats.neutral.request import Thinking
from addon.formats.wire.lenient import as_dict, as_int, as_str

__all__ = ("EFFORT", "TEMPLATE", "TEMPLATE_SWITCHES", "WORDS", "read")

EFFORT = "reasoning_effort"
TEMPLATE = "chat_template_kwargs"
TEMPLATE_SWITCHES = frozenset(("enable_thinking", "thinking"))
"""The arguments of a template that switch thinking."""

WORDS = (EFFORT, "reasoning", "thinking", "enable_thinking", "thinking_budget", TEMPLATE)
"""Top-level members that say how hard to think."""


def read(found: Mapping[str, Any]) -> Thinking:
    """The same in neutral words."""
    reasoning, thinking = as_dict(found.get("reasoning")), as_dict(found.get("thinking"))
    budgets = (
        thinking.get("budget_tokens"),
        reasoning.get("max_tokens"),
        found.get("thinking_budget"),
    )
    return Thinking(
        effort=as_str(found.get(EFFORT)) or as_str(reasoning.get("effort")),
        budget=next((budget for budget in map(as_int, budgets) if budget is not None), None),
        switch=as_str(thinking.get("type")) or _switch(found, reasoning),
        summary=as_str(reasoning.get("summary")),
    )


def _switch(found: Mapping[str, Any], reasoning: Mapping[str, Any]) -> str:
    template = as_dict(found.get(TEMPLATE))
    switches = [reasoning.get("enabled"), found.get("enable_thinking")]
    switches += [template.get(name) for name in sorted(TEMPLATE_SWITCHES)]
    given = [switch for switch in switches if switch is not None]
    if not given:
        return ""
    if given[0]:
        return "enabled"
    return "disabled"
