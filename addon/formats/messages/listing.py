"""Messages' other endpoints: counts of tokens, and the list of models.

https://platform.claude.com/docs/en/api/messages-count-tokens and …/api/models-list.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from addon.formats.wire.lenient import as_dict, as_int
from addon.formats.wire.splice import MalformedJson, scalar_text, value

__all__ = ("decode_count", "encode_count", "encode_models")


def encode_count(tokens: int) -> bytes:
    """The answer to a request for a count."""
    return scalar_text({"input_tokens": tokens})


def decode_count(body: bytes) -> int | None:
    """The count in an upstream's answer; None without one."""
    try:
        tokens = as_int(as_dict(value(body)).get("input_tokens"))
    except MalformedJson:
        return None
    if tokens is None or tokens < 0:
        return None
    return tokens


def encode_models(models: Iterable[str], created: int) -> bytes:
    """The list of models, all on one page; every one gets `created`, in Unix seconds."""
    since = datetime.fromtimestamp(created, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    listed = [_model(name, since) for name in models]
    page: dict[str, Any] = {"data": listed, "has_more": False, "first_id": None, "last_id": None}
    if listed:
        page |= {"first_id": listed[0]["id"], "last_id": listed[-1]["id"]}
    return scalar_text(page)


def _model(name: str, since: str) -> dict[str, Any]:
    return {
        "type": "model",
        "id": name,
        "display_name": name,
        "created_at": since,
        "lifecycle": "active",
    }
