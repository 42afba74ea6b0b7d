"""The events of a stream as the SDKs cut them, and their data as their models read it."""

import json
from collections.abc import Iterable
from functools import cache
from typing import Any, get_args

from openai._streaming import SSEDecoder
from pydantic import BaseModel, TypeAdapter

from addon.formats.wire.surrogates import without_lone_surrogates
from tests.support.turns import Json

__all__ = ("Told", "by_type", "is_said", "matches", "strictly", "told")

type Told = list[tuple[str, str]]
"""Names and data of events."""


def told(stream: bytes) -> Told:
    """The events of a stream, which is UTF-8 and ends with a whole event."""
    stream.decode()
    assert stream.endswith((b"\n\n", b"\r\r", b"\r\n\r\n")), "the last event is not whole"
    found = SSEDecoder().iter_bytes(iter([stream]))
    return [(event.event or "", event.data) for event in found if event.data]


def by_type(union: Any, member: str = "type") -> dict[str, Any]:
    """The models of a union by what they say in that member."""
    models: dict[str, Any] = {}
    for model in _models(union):
        for kind in get_args(model.model_fields[member].annotation):
            models.setdefault(kind, model)
    return models


def _models(union: Any) -> Iterable[type[BaseModel]]:
    if isinstance(union, type):
        yield union
        return
    for one in get_args(union):
        if isinstance(one, type) or get_args(one):
            yield from _models(one)


def strictly(model: Any, said: Json) -> None:
    """What is said has every member that the model demands, and all known ones have its types."""
    text = without_lone_surrogates(json.dumps(said).encode())  # pydantic reads none
    _adapter(model).validate_json(text, strict=True)


@cache
def _adapter(model: Any) -> TypeAdapter[Any]:
    return TypeAdapter(model)


def is_said(said: Any, more: Any) -> bool:
    """Whether all that the first says stands in the second, which may have members more."""
    if isinstance(said, dict):
        return isinstance(more, dict) and all(
            is_said(value, more.get(key)) for key, value in said.items()
        )
    if isinstance(said, list):
        return isinstance(more, list) and len(said) == len(more) and all(map(is_said, said, more))
    return bool(said == more)


def matches(snapshot: BaseModel, whole: Json, *members: str) -> None:
    """An SDK's own snapshot says the same of these members as the whole answer."""
    held = snapshot.model_dump(exclude_unset=True, warnings=False)
    for member in members:
        assert is_said(whole.get(member), held.get(member)), (member, whole, held)
