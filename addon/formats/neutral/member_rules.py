"""What an upstream's refusals have shown of the requests that it takes."""

import msgspec

__all__ = ("MemberRules",)


class MemberRules(msgspec.Struct, frozen=True, kw_only=True):
    """Empty: nothing is known."""

    without: frozenset[str] = frozenset()
    """Members that it does not know; dots part the steps to one within another."""

    most_tokens: int | None = None
    """The most that an answer may be limited to."""

    efforts: tuple[str, ...] = ()
    """The efforts that it takes."""

    ends_with_user: bool = False
    """It goes on with no answer that the client has begun."""

    forces_thinking: bool = True
    """It lets a tool be forced while the model thinks."""

    wants_results: bool = False
    """Every call needs its result right after it, and every result its call."""
