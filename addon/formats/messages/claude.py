"""The abilities of Claude models, read from their names."""

import re

__all__ = (
    "is_claude",
    "takes_budgets",
    "takes_budgets_only",
    "takes_prefills",
    "takes_sampling",
    "takes_system_messages",
)

_VENDOR = r"(.*[./])?"
"""A prefix like OpenRouter's `anthropic/` or Bedrock's `us.anthropic.`."""

_END = r"(-\d{8}|-latest|@|-v\d|:|$)"
"""What follows a version: a date, an alias, or Vertex', Bedrock's and OpenRouter's suffixes."""

_CLAUDE = re.compile(rf"{_VENDOR}claude-")
_BUDGETS_ONLY = re.compile(rf"{_VENDOR}claude-(3|(opus|sonnet|haiku)-4(-[015])?{_END})")
_SAMPLING = re.compile(rf"{_VENDOR}claude-(3|(opus|sonnet|haiku)-4(-[0-6])?{_END})")
_SYSTEM_MESSAGES = re.compile(rf"{_VENDOR}claude-opus-(4-[89]|[5-9])(-|@|:|$)")


def is_claude(model: str) -> bool:
    """Whether the model is one of Anthropic's."""
    return _CLAUDE.match(model.lower()) is not None


def takes_budgets_only(model: str) -> bool:
    """Whether a Claude model has no adaptive thinking: those before Opus and Sonnet 4.6."""
    return _BUDGETS_ONLY.match(model.lower()) is not None


def takes_budgets(model: str) -> bool:
    """Whether a Claude model takes a budget of thinking: those before Opus 4.7
    (github.com/earendil-works/pi/issues/3297).
    """
    return takes_sampling(model)


def takes_prefills(model: str) -> bool:
    """Whether a Claude model goes on with an answer that the client has begun: those before
    Opus and Sonnet 4.6 (github.com/vercel/ai/issues/12296).
    """
    return takes_budgets_only(model)


def takes_sampling(model: str) -> bool:
    """Whether a Claude model takes `temperature` and its kind: those before Opus 4.7
    (github.com/BerriAI/litellm/issues/26444).
    """
    return _SAMPLING.match(model.lower()) is not None


def takes_system_messages(model: str) -> bool:
    """Whether a Claude model takes system messages among the others, at Anthropic's own
    API: Opus from 4.8 on
    (https://platform.claude.com/docs/en/build-with-claude/mid-conversation-system-messages).
    """
    return _SYSTEM_MESSAGES.match(model.lower()) is not None
