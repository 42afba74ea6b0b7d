"""What only one format can say, in words for upstreams of the others: searches that a provider
ran, and what they found.
"""

from collections.abc import Iterator
from typing import Any

from addon.formats.neutral.request import refused
from addon.formats.wire.lenient import as_str

__all__ = ("words_of",)

_LONGEST = 8_000
"""Characters of one item: as much as a page of results, and less than a model's answer."""

_LONGEST_WORD = 500
"""A longer text without blanks is no text, but a picture or state."""

_DEEPEST = 16
"""Levels of an item; results of searches have five."""

_COMPACTIONS = frozenset(
    ("compaction", "compaction_summary", "compaction_trigger", "context_compaction")
)
"""Kinds that stand for a whole conversation, and the one that asks for such a kind, to which no
other provider has an answer (github.com/openai/codex/pull/22809).
"""

_UNREADABLE = frozenset(
    (
        *("annotations", "cache_control", "call_id", "caller", "citations", "container_id"),
        *("encrypted_content", "encrypted_index", "encrypted_stdout", "execution", "file_id"),
        *("fingerprint", "id", "input_schema", "item_id", "logprobs", "media_type", "parameters"),
        *("result", "role", "signature", "status", "tool_use_id", "type"),
    )
)
"""Members that tell a model nothing: ids, state and schemas."""

_TEXTS = frozenset(("", "content", "data", "output", "text"))
"""Members whose text needs no name before it."""


def words_of(item: dict[str, Any]) -> str:
    """The essential contents of an item or block: queries, titles, addresses, texts; bounded.
    Raises RequestError for a conversation in a form that only its maker can read.
    """
    kind = as_str(item.get("type"))
    if kind == "tool_reference":
        return f"[Found the tool '{as_str(item.get('tool_name'))}']"
    if kind == "compaction" and item.get("content", kind) is item.get("encrypted_content") is None:
        return (
            ""  # one that failed (https://platform.claude.com/docs/en/build-with-claude/compaction)
        )
    lines = list(_lines(item, "", 0))
    if kind in _COMPACTIONS and not lines:
        message = (
            f"This model can't read the item '{kind}': another provider has compacted the "
            "conversation, or is to compact it. Start a new chat, or choose that provider's model."
        )
        raise refused("unsupported_item", message)
    said = "\n".join([f"[{kind}]", *lines])
    if len(said) > _LONGEST:
        said = f"{said[:_LONGEST]} …"
    return f"\n{said}\n"  # chat upstreams get all texts of a turn as one


def _lines(held: Any, name: str, depth: int) -> Iterator[str]:
    """The readable texts in a value, each with the name of its member."""
    if depth > _DEEPEST:
        return
    if isinstance(held, str):
        if held.strip() and (len(held) <= _LONGEST_WORD or len(held.split(None, 1)) > 1):
            yield held if name in _TEXTS else f"{name}: {held}"
    elif isinstance(held, bool | int):
        yield f"{name}: {held}"
    elif isinstance(held, list):
        for one in held:
            yield from _lines(one, name, depth + 1)
    elif isinstance(held, dict):
        for key, one in held.items():
            if key not in _UNREADABLE:
                yield from _lines(one, key, depth + 1)
