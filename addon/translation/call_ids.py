"""Ids of tool calls that an upstream takes: clients bring those of other upstreams."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from hashlib import blake2b

import msgspec

from addon.formats.neutral.turn import Edit, Message
from addon.formats.wire.pace import lots_of
from addon.translation.abilities import is_openai
from addon.translation.pair import Wanted

__all__ = ("with_fitting_ids",)

type Fit = Callable[[str], str]
"""An id -> the id, or one that stands for it: always the same one."""

_MISTRAL_LENGTH = 9
"""Mistral takes nine letters and digits (https://docs.mistral.ai/capabilities/function_calling)."""

_LONGEST_CHAT, _LONGEST_RESPONSES = 40, 64
"""Characters that OpenAI takes (github.com/decolua/9router/issues/393); others have no bound."""

_MARK_LENGTH = 16
"""Digits by which shortened ids are told apart."""


def with_fitting_ids(wanted: Wanted, messages: Sequence[Message]) -> Wanted:
    """What is wanted, with edits for the ids that the upstream would refuse; `messages` are the
    client's.
    """
    fit = _fit_for(wanted)
    if fit is None:
        return wanted
    edits = dict(wanted.edits)
    for at, message in enumerate(lots_of(messages)):
        edit = edits.get(at, Edit())
        ids = dict(_changed(message, edit, fit))
        if ids:
            edits[at] = msgspec.structs.replace(edit, ids={**edit.ids, **ids})
    return msgspec.structs.replace(wanted, edits=edits)


def _changed(message: Message, edit: Edit, fit: Fit) -> Iterator[tuple[str, str]]:
    """The message's ids that don't fit, and what is to stand for them."""
    for call_id in (*(call.id for call in message.calls), message.result_of):
        # The upstream's own, which recall has put back, are as it takes them.
        if call_id and call_id not in edit.ids and fit(call_id) != call_id:
            yield call_id, fit(call_id)


def _fit_for(wanted: Wanted) -> Fit | None:
    """How ids come to fit the upstream; None: it takes any."""
    if wanted.upstream.api == "messages":
        return None
    if wanted.profile.name == "mistral":
        return _nine
    if wanted.upstream.api == "responses":
        return partial(_shortened, longest=_LONGEST_RESPONSES)
    if is_openai(wanted.upstream):
        return partial(_shortened, longest=_LONGEST_CHAT)
    return None


def _shortened(call_id: str, *, longest: int) -> str:
    if len(call_id) <= longest:
        return call_id
    return f"{call_id[: longest - _MARK_LENGTH - 1]}_{_digest(call_id)[:_MARK_LENGTH]}"


def _nine(call_id: str) -> str:
    if len(call_id) == _MISTRAL_LENGTH and call_id.isascii() and call_id.isalnum():
        return call_id
    return _digest(call_id)[:_MISTRAL_LENGTH]


def _digest(call_id: str) -> str:
    return blake2b(call_id.encode(errors="replace"), digest_size=16).hexdigest()
