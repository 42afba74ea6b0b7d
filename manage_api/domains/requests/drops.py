"""Finds the requests of a conversation whose cached share fell sharply, and likely causes."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import msgspec

from manage_api.domains.requests.schemas import RequestView
from shared.store.reports import Try

__all__ = ("Step", "steps")

_PAUSE_MS = 3_600_000
"""An hour: upstreams cache prompts for minutes to hours."""


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One request of a conversation, compared with the one before."""

    request: RequestView
    dropped: bool = False
    """Whether the cached share fell by more than half although the prompt is longer."""

    reasons: tuple[str, ...] = ()
    """Likely causes, in a few words each."""


def steps(requests: Sequence[RequestView]) -> list[Step]:
    """Compare the requests of a conversation, oldest first; skip those with estimated tokens."""
    result: list[Step] = []
    before: RequestView | None = None
    for request in requests:
        step = Step(request=request)
        if request.prompt_tokens > 0 and not request.estimated:
            if before is not None and _dropped(before, request):
                reasons = tuple(_reasons(before, request))
                step = Step(request=request, dropped=True, reasons=reasons)
            before = request
        result.append(step)
    return result


def _dropped(before: RequestView, now: RequestView) -> bool:
    grew = now.prompt_tokens > before.prompt_tokens
    return (
        grew
        and 2 * now.cached_tokens * before.prompt_tokens < before.cached_tokens * now.prompt_tokens
    )


def _reasons(before: RequestView, now: RequestView) -> Iterator[str]:
    if now.upstream != before.upstream:
        yield f"a different upstream: {before.upstream} before"
    elif now.upstream_key != before.upstream_key:
        yield "a different key of the upstream, with its own cache"
    if now.upstream_model != before.upstream_model:
        yield f"a different model: {before.upstream_model} before"
    yield from _changed_turns(before, now)
    if now.policy != before.policy and (now.missing or before.missing):
        yield (
            f"a different policy for turns that are not found: {now.policy or 'none'} after "
            f"{before.policy or 'none'}"
        )
    if any(_is_repair(*tries) for tries in pairwise(now.tries)):
        yield "the upstream rejected the first body and got a repaired one"
    if now.at - before.at >= _PAUSE_MS:
        yield "a long pause, after which upstreams discard cached prompts"


def _is_repair(first: Try, second: Try) -> bool:
    """Whether the second attempt repeats the first at the same upstream."""
    return (first.upstream, first.key, first.model) == (second.upstream, second.key, second.model)


def _changed_turns(before: RequestView, now: RequestView) -> Iterator[str]:
    """Count the turns of both requests that only one of them found; all misses and the latest
    turns are listed.
    """
    last = min(max((note.at for note in view.turns), default=-1) for view in (before, now))
    restored = len(_missing(before, last) - _missing(now, last))
    lost = len(_missing(now, last) - _missing(before, last))
    if restored:
        yield f"{_turns(restored)} newly restored"
    if lost:
        yield f"{_turns(lost)} newly missing"


def _missing(view: RequestView, last: int) -> set[int]:
    return {note.at for note in view.turns if note.rule == "missing" and note.at <= last}


def _turns(count: int) -> str:
    if count == 1:
        return "1 turn"
    return f"{count} turns"
