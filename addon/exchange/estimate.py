"""How many tokens a prompt probably has, before anybody has counted it."""

from collections.abc import Iterable

from addon.admission.quota import tokens_in
from addon.formats.neutral.turn import File, Image, Message
from shared.store.ratios import Ratio

__all__ = ("prompt_tokens",)

_TOKENS_OF_A_PICTURE = 1_600
"""About what a large picture costs (https://platform.claude.com/docs/en/build-with-claude/vision)."""


def prompt_tokens(messages: Iterable[Message], body: bytes, ratio: Ratio) -> int:
    """By the bytes of the upstream's body, but for its pictures and files, and what the model
    has counted of others so far.
    """
    parts = (part for message in messages for part in message.parts)
    pictures = [len(part.url) for part in parts if isinstance(part, Image | File)]
    size = max(0, len(body) - sum(pictures))
    tokens = tokens_in(size, ratio.prompt_bytes, ratio.prompt_tokens)
    return tokens + _TOKENS_OF_A_PICTURE * len(pictures)
