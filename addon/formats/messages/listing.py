"""Messages' other endpoints: counts of tokens, and models.

https://platform.claude.com/docs/en/api/messages-count-tokens and …/api/models-list.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs

import msgspec

from addon.formats.neutral.request import refused
from addon.formats.wire.lenient import as_dict, as_int
from addon.formats.wire.splice import MalformedJson, scalar_text, value

__all__ = ("Page", "decode_count", "encode_count", "encode_model", "encode_models", "page_of")

_MOST_ON_A_PAGE = 1_000
"""The most that the API documents."""


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


class Page(msgspec.Struct, frozen=True):
    """Which part of the list a client asks for."""

    after: str = ""
    before: str = ""
    limit: int | None = None
    """None: all; the API's own default of 20 would hide models from clients that don't page."""


def page_of(query: str) -> Page:
    """The page that the query of a target names. Raises RequestError.

    https://platform.claude.com/docs/en/api/models-list
    """
    found = {name: values[-1] for name, values in parse_qs(query).items()}
    limit = found.get("limit")
    if limit is not None and not (limit.isdecimal() and 1 <= int(limit) <= _MOST_ON_A_PAGE):
        raise refused("invalid_limit", f"'limit' is 1 to {_MOST_ON_A_PAGE}.", "limit")
    return Page(
        after=found.get("after_id", ""),
        before=found.get("before_id", ""),
        limit=int(limit) if limit is not None else None,
    )


def encode_models(models: Iterable[str], created: int, page: Page = Page()) -> bytes:
    """The page of the list of models; every one gets `created`, in Unix seconds. Raises
    RequestError for a page beside a model that is not in the list.
    """
    names, has_more = _cut(list(models), page)
    ends: dict[str, str | None] = {"first_id": None, "last_id": None}
    if names:
        ends = {"first_id": names[0], "last_id": names[-1]}
    listed = [_model(name, created) for name in names]
    return scalar_text({"data": listed, "has_more": has_more, **ends})


def encode_model(model: str, created: int) -> bytes:
    """One model (https://platform.claude.com/docs/en/api/models)."""
    return scalar_text(_model(model, created))


def _cut(names: list[str], page: Page) -> tuple[list[str], bool]:
    """The names on the page, and whether there are more beyond it."""
    if page.after:
        names = names[_place(names, page.after, "after_id") + 1 :]
    if page.before:
        names = names[: _place(names, page.before, "before_id")]
    if page.limit is None or len(names) <= page.limit:
        return names, False
    if page.before and not page.after:
        return names[-page.limit :], True
    return names[: page.limit], True


def _place(names: list[str], name: str, param: str) -> int:
    if name in names:
        return names.index(name)
    raise refused("invalid_cursor", f"'{param}' names no model of the list.", param)


def _model(name: str, created: int) -> dict[str, Any]:
    since = datetime.fromtimestamp(created, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "type": "model",
        "id": name,
        "display_name": name,
        "created_at": since,
        "lifecycle": "active",
    }
