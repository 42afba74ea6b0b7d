"""Names of tools within the bounds of an upstream, and the way back.

OpenAI takes 64 letters, digits, `_` and `-`, Anthropic 128 of the same
(https://platform.openai.com/docs/api-reference/chat/create, https://platform.claude.com/docs/en/api/messages/create);
names of MCP tools are longer or have dots.
"""

import re
from collections.abc import Iterable
from hashlib import blake2b

__all__ = ("fitting", "shortened")

_OTHER = re.compile(r"[^A-Za-z0-9_-]")
_MARK_BYTES = 4
"""Bytes of the digest by which shortened names are told apart."""


def fitting(name: str, longest: int) -> str:
    """The name, or one that stands for it: always the same, so that prompt caches stay warm."""
    plain = _OTHER.sub("_", name)
    if plain == name and len(name) <= longest:
        return name
    mark = blake2b(name.encode(errors="replace"), digest_size=_MARK_BYTES).hexdigest()
    return f"{plain[: longest - len(mark) - 1]}_{mark}"


def shortened(names: Iterable[str], longest: int) -> dict[str, str]:
    """The names that have to change, by what stands for them."""
    pairs = ((fitting(name, longest), name) for name in names if name)
    return {short: name for short, name in pairs if short != name}
