"""`reasoning_details`: typed items of reasoning, streamed in steps, that go back as they came.

OpenRouter documents them
(https://openrouter.ai/docs/guides/best-practices/reasoning-tokens), MiniMax and Vercel's
gateway have the same. Steps join as in OpenRouter's own client
(github.com/OpenRouterTeam/ai-sdk-provider).
"""

from collections.abc import Iterable
from typing import Any

from addon.formats.wire.splice import scalar_text

__all__ = ("Details", "identity_of", "is_secret", "is_sendable")

_TEXTS = {"reasoning.text": "text", "reasoning.summary": "summary"}
_OWN = ("id", "data", "signature")
_SIGNED = ("anthropic-claude-v1", "google-gemini-v1")
"""Formats whose text is refused without its signature."""


class _Pieces(list[str]):
    """A text that is still growing."""


class Details:
    """Collects the items of one answer."""

    def __init__(self) -> None:
        self._items: list[Any] = []
        self.given = False
        """Whether there was an array, if only an empty one, which says that there is no
        reasoning.
        """

    @property
    def text(self) -> str:
        """The array as JSON."""
        return scalar_text([_whole(item) for item in self._items]).decode()

    def add(self, items: Iterable[Any]) -> None:
        """Take one step: more of known items, and new ones."""
        self.given = True
        for item in items:
            if isinstance(item, dict) and (known := self._known(item)) is not None:
                _join(known, item)
            else:
                self._items.append(_growing(item) if isinstance(item, dict) else item)

    def _known(self, item: dict[str, Any]) -> dict[str, Any] | None:
        """The item that this is more of: the one of its index, else its neighbour if both
        are text.
        """
        index, kind = item.get("index"), item.get("type")
        for known in reversed(self._items):
            if index is None:
                return known if kind in _TEXTS and _are_one(known, item) else None
            if (
                isinstance(known, dict)
                and known.get("index") == index
                and known.get("type") == kind
            ):
                return known if _are_one(known, item) else None
        return None


def _are_one(known: Any, item: dict[str, Any]) -> bool:
    if not isinstance(known, dict) or known.get("type") != item.get("type"):
        return False
    if known.get("signature") is not None and any(
        isinstance(item.get(name), str) for name in _TEXTS.values()
    ):
        return False  # a signature is of the text before it
    return all(known.get(name) in (None, item.get(name)) or item.get(name) is None for name in _OWN)


def _growing(item: dict[str, Any]) -> dict[str, Any]:
    texts = {
        name: _Pieces([item[name]]) for name in _TEXTS.values() if isinstance(item.get(name), str)
    }
    return item | texts


def _whole(item: Any) -> Any:
    if not isinstance(item, dict):
        return item
    return {
        name: "".join(held) if isinstance(held, _Pieces) else held for name, held in item.items()
    }


def _join(known: dict[str, Any], item: dict[str, Any]) -> None:
    for name, more in item.items():
        before = known.get(name)
        if isinstance(before, _Pieces) and isinstance(more, str):
            before.append(more)
        elif before is None:
            known[name] = more


def is_secret(item: dict[str, Any]) -> bool:
    """Whether only the account that it was made for can send the item back."""
    return item.get("data") is not None or item.get("signature") is not None


def is_sendable(item: Any) -> bool:
    """Whether the item is whole: a stopped answer may lack the signature that its format
    demands.
    """
    if (
        not isinstance(item, dict)
        or item.get("type") != "reasoning.text"
        or item.get("format") not in _SIGNED
    ):
        return True
    return bool(item.get("signature"))


def identity_of(item: Any) -> tuple[str, str] | None:
    """What may stand in a request once ("Duplicate item found with id"); None for an item
    that may stand there again.

    Only what is encrypted goes by its id: MiniMax gives the texts of all its answers the
    same one.
    """
    if (
        not isinstance(item, dict)
        or not isinstance(item.get("id"), str)
        or item.get("data") is None
    ):
        return None
    return str(item.get("type")), item["id"]
