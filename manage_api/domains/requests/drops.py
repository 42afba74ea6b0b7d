"""Where in a conversation the upstream's cache knew much less of the prompt than before,
and what may be the reason.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import msgspec

from manage_api.domains.requests.schemas import RequestView
from shared.store.reports import Try

__all__ = ("Step", "steps")

_PAUSE_MS = 3_600_000
"""Upstreams keep prompts for minutes to hours."""


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One request of a conversation, beside the one before."""

    request: RequestView
    dropped: bool = False
    """Less than half the share of the prompt before came from the cache, although the
    prompt is longer.
    """

    reasons: tuple[str, ...] = ()
    """What may have dropped it, in few words each."""


def steps(requests: Sequence[RequestView]) -> list[Step]:
    """The requests of a conversation, which are in their order; those that nobody counted
    are compared with none.
    """
    made: list[Step] = []
    before: RequestView | None = None
    for one in requests:
        counted = one.prompt_tokens > 0 and not one.estimated
        if before is not None and counted and _dropped(before, one):
            made.append(Step(request=one, dropped=True, reasons=tuple(_reasons(before, one))))
        else:
            made.append(Step(request=one))
        before = one if counted else before
    return made


def _dropped(before: RequestView, now: RequestView) -> bool:
    grew = now.prompt_tokens > before.prompt_tokens
    return (
        grew
        and 2 * now.cached_tokens * before.prompt_tokens < before.cached_tokens * now.prompt_tokens
    )


def _reasons(before: RequestView, now: RequestView) -> Iterator[str]:
    if now.upstream != before.upstream:
        yield f"another upstream than {before.upstream} before"
    elif now.upstream_key != before.upstream_key:
        yield "another key of the upstream, which has a cache of its own"
    if now.upstream_model != before.upstream_model:
        yield f"another model than {before.upstream_model} before"
    yield from _changed_turns(before, now)
    if now.policy != before.policy and (now.missing or before.missing):
        yield (
            f"another policy for turns that are not found: {now.policy or 'none'} after "
            f"{before.policy or 'none'}"
        )
    if any(_is_repair(*tries) for tries in pairwise(now.tries)):
        yield "the upstream refused what it was sent first, and got something else"
    if now.at - before.at >= _PAUSE_MS:
        yield "a long pause, after which upstreams forget prompts"


def _is_repair(first: Try, second: Try) -> bool:
    """Whether who refused was asked once more."""
    return (first.upstream, first.key, first.model) == (second.upstream, second.key, second.model)


def _changed_turns(before: RequestView, now: RequestView) -> Iterator[str]:
    """Which turns that both requests replay are found in one and missing in the other."""
    was_missing = {note.at: note.rule == "missing" for note in before.turns}
    both = [note for note in now.turns if note.at in was_missing]
    restored = sum(was_missing[note.at] and note.rule != "missing" for note in both)
    lost = sum(not was_missing[note.at] and note.rule == "missing" for note in both)
    if restored:
        yield f"{_turns(restored)} newly restored"
    if lost:
        yield f"{_turns(lost)} newly missing"


def _turns(count: int) -> str:
    return "1 turn" if count == 1 else f"{count} turns"
