"""`reasoning_details`: typed items of reasoning, which stream in steps and go back as they came.

OpenRouter documents them
(https://openrouter.ai/docs/guides/best-practices/reasoning-tokens), MiniMax and Vercel's
gateway have the same. Steps join as in OpenRouter's own client
(github.com/OpenRouterTeam/ai-sdk-provider).
"""

from collections.abc import Iterable
from typing import Any

from addon.formats.wire.lenient import as_str
from addon.formats.wire.splice import scalar_text

__all__ = ("Details", "identity_of", "is_secret", "is_sendable", "secrets_of", "text_of")

_TEXTS = {"reasoning.text": "text", "reasoning.summary": "summary"}
"""The member with the text, for each type of item that has one."""

_OWN = ("id", "data", "signature")
"""Members that differ between items."""

_SIGNED = ("anthropic-claude-v1", "google-gemini-v1")
"""Formats whose text is refused without its signature."""


class _Pieces(list[str]):
    """A text that is still growing."""


class Details:
    """Collects the items of one answer."""

    def __init__(self) -> None:
        self._items: list[Any] = []
        self.given = False
        """Whether there was an array; an empty one says that there is no reasoning."""

    @property
    def text(self) -> str:
        """The array as JSON."""
        return scalar_text([_whole(item) for item in self._items]).decode()

    def add(self, items: Iterable[Any]) -> None:
        """Take one step: more of known items, and new ones."""
        self.given = True
        for item in items:
            if not isinstance(item, dict):
                self._items.append(item)
                continue
            before = self._candidate(item)
            if before is not None and _are_one(before, item):
                _join(before, item)
            else:
                self._items.append(_growing(item))

    def _candidate(self, item: dict[str, Any]) -> Any:
        """The item that this may be more of: the last of its index, or its text neighbour."""
        index, kind = item.get("index"), as_str(item.get("type"))
        if index is None:
            if kind in _TEXTS and self._items:
                return self._items[-1]
            return None
        for before in reversed(self._items):
            if isinstance(before, dict) and (before.get("index"), as_str(before.get("type"))) == (
                index,
                kind,
            ):
                return before
        return None


def _are_one(before: Any, item: dict[str, Any]) -> bool:
    """Whether the item is more of the one before."""
    if not isinstance(before, dict) or before.get("type") != item.get("type"):
        return False
    has_text = any(isinstance(item.get(name), str) for name in _TEXTS.values())
    if has_text and before.get("signature") is not None:
        return False  # a signature is of the text before it
    return all(
        item.get(name) is None or before.get(name) in (None, item.get(name)) for name in _OWN
    )


def _growing(item: dict[str, Any]) -> dict[str, Any]:
    texts = {
        name: _Pieces([item[name]]) for name in _TEXTS.values() if isinstance(item.get(name), str)
    }
    return item | texts


def _whole(item: Any) -> Any:
    if not isinstance(item, dict):
        return item
    texts = {name: "".join(text) for name, text in item.items() if isinstance(text, _Pieces)}
    return item | texts


def _join(before: dict[str, Any], item: dict[str, Any]) -> None:
    for name, more in item.items():
        member = before.get(name)
        if isinstance(member, _Pieces) and isinstance(more, str):
            member.append(more)
        elif member is None:
            before[name] = more


def is_secret(item: dict[str, Any]) -> bool:
    """Whether only the account that it was made for can send the item back."""
    return item.get("data") is not None or item.get("signature") is not None


def secrets_of(items: Iterable[dict[str, Any]]) -> list[str]:
    """The data and signatures of the items."""
    found = [item.get(name) for item in items for name in ("data", "signature")]
    return [secret for secret in found if isinstance(secret, str)]


def text_of(items: Iterable[dict[str, Any]]) -> str:
    """What the items say, joined."""
    found = [item.get(name) for item in items for name in _TEXTS.values()]
    return "".join(text for text in found if isinstance(text, str))


def is_sendable(item: Any) -> bool:
    """Whether the item is whole: a stopped answer may lack the signature of its format."""
    if not isinstance(item, dict) or item.get("type") != "reasoning.text":
        return True
    return item.get("format") not in _SIGNED or bool(item.get("signature"))


def identity_of(item: Any) -> tuple[str, str] | None:
    """The identity that may stand in a request only once; None for an item that may be repeated.

    Upstreams refuse another one ("Duplicate item found with id"). Texts have no identity: MiniMax
    gives those of all its answers the same id.
    """
    if not isinstance(item, dict) or item.get("data") is None:
        return None
    if not isinstance(item.get("id"), str):
        return None
    return str(item.get("type")), item["id"]
