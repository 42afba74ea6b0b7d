"""Names of tools within the bounds of an upstream, and the way back.

OpenAI takes 64 letters, digits, `_` and `-`, Anthropic 128 of the same
(https://platform.openai.com/docs/api-reference/chat/create, https://platform.claude.com/docs/en/api/messages/create);
names of MCP tools are longer or have dots.
"""

import re
from collections.abc import Iterable
from hashlib import blake2b

__all__ = ("fitting", "grouped", "shortened", "ungrouped")

_OTHER = re.compile(r"[^A-Za-z0-9_-]")
_MARK_BYTES = 4
"""Bytes of the digest by which shortened names are told apart."""

_JOINT = "__"
"""What stands between a group's name and a function's, as Codex joins them itself
(github.com/openai/codex, `multi_agent_v1__spawn_agent`).
"""


def grouped(group: str, name: str) -> str:
    """The name of a function in a group (Responses' `namespace`), where there are no groups."""
    if not group or group.endswith(_JOINT):
        return group + name
    return f"{group}{_JOINT}{name}"


def ungrouped(group: str, name: str) -> str:
    """The function's own name, for what `grouped` has given."""
    return name.removeprefix(grouped(group, ""))


def fitting(name: str, longest: int) -> str:
    """The name, or one that stands for it: always the same, so that prompt caches stay warm."""
    plain = _OTHER.sub("_", name[:longest])
    if plain == name:
        return name
    mark = blake2b(name.encode(errors="replace"), digest_size=_MARK_BYTES).hexdigest()
    return f"{plain[: longest - len(mark) - 1]}_{mark}"


def shortened(names: Iterable[str], longest: int) -> dict[str, str]:
    """The names that have to change, by what stands for them."""
    pairs = ((fitting(name, longest), name) for name in names if name)
    return {short: name for short, name in pairs if short != name}
