"""What clients do to conversations: habits of spelling, and things that happen to a history."""

from collections.abc import Callable
from copy import copy
from random import Random

from msgspec.structs import replace

from tests.properties.recall.scripts import GENERIC, SHORT
from tests.properties.recall.truth import Conversation, Habits, Held, HeldCall, Words

__all__ = ("CHANGES", "HABITS", "habits_of")

HABITS: dict[str, dict[str, object]] = {
    "ids kept": {},
    "ids replaced": {"ids": "replaced"},
    "ids replaced anew in each request": {"ids": "anew"},
    "ids shortened": {"ids": "shortened"},
    "ids repeated": {"ids": "repeated"},
    "ids swapped in a turn": {"ids": "swapped"},
    "arguments respelled": {"respells": True},
    "text padded": {"text": "padded"},
    "text with other line ends": {"text": "crlf"},
    "text decomposed": {"text": "decomposed"},
    "contents as arrays": {"parts": True},
    "text beside calls left out": {"drops_text": True},
    "another system prompt each time": {"dates": True},
    "words wrapped": {"words": "wrapped"},
    "words unwrapped later": {"words": "unwrapped"},
    "words grown while new": {"words": "grown"},
    "own copies kept": {"copies": "kept"},
    "own copies partly kept": {"copies": "some"},
    "own copies trimmed": {"copies": "trimmed"},
    "results reversed": {"reverses": True},
    "own copies kept, ids replaced": {"copies": "kept", "ids": "replaced"},
}
"""Habits by name, as members of `Habits`."""

type Change = Callable[[Conversation, Random], bool]
"""Alters a history; False where there is nothing to alter."""


def _choose(talk: Conversation, rng: Random, fits: Callable[[Held], bool]) -> int | None:
    """The place in the history of a turn that fits."""
    places = [at for at, one in enumerate(talk.history) if isinstance(one, Held) and fits(one)]
    return rng.choice(places) if places else None


def compact(talk: Conversation, rng: Random) -> bool:
    if len(talk.history) < 5:
        return False
    upto = rng.randint(2, len(talk.history) - 2)
    talk.history[:upto] = [Words(f"What was done so far: {rng.randrange(10**6)}.")]
    return True


def drop_middle(talk: Conversation, rng: Random) -> bool:
    if len(talk.history) < 6:
        return False
    upto = rng.randint(3, len(talk.history) - 2)
    del talk.history[2:upto]
    return True


def split(talk: Conversation, rng: Random) -> bool:
    at = _choose(
        talk, rng, lambda one: bool(one.text and one.calls and one.issued and not one.part)
    )
    if at is None:
        return False
    whole = talk.history[at]
    assert isinstance(whole, Held)
    text = Held(whole.issued, whole.text, [], whole.copies, "text")
    talk.history[at : at + 1] = [text, Held(whole.issued, "", whole.calls, [], "calls")]
    return True


def merge(talk: Conversation, rng: Random) -> bool:
    pairs = [
        at
        for at, (one, other) in enumerate(zip(talk.history, talk.history[1:], strict=False))
        if isinstance(one, Held) and isinstance(other, Held) and not (one.part or other.part)
    ]
    if not pairs:
        return False
    at = rng.choice(pairs)
    one, other = talk.history[at : at + 2]
    assert isinstance(one, Held)
    assert isinstance(other, Held)
    calls = [*one.calls, *other.calls]
    issued = [*one.issued, *other.issued]
    merged = Held(issued, one.text + other.text, calls, [*one.copies, *other.copies])
    talk.history[at : at + 2] = [merged]
    return True


def rewind(talk: Conversation, rng: Random) -> bool:
    words = [at for at, one in enumerate(talk.history) if isinstance(one, Words) and at]
    if not words:
        return False
    del talk.history[rng.choice(words) :]
    return True


def reject_call(talk: Conversation, rng: Random) -> bool:
    at = _choose(talk, rng, lambda one: len(one.calls) > 1)
    if at is None:
        return False
    held = talk.history[at]
    assert isinstance(held, Held)
    calls = list(held.calls)
    del calls[rng.randrange(len(calls))]
    talk.history[at] = _altered(held, calls=calls, borrowed={})
    return True


def borrow_ids(talk: Conversation, rng: Random) -> bool:
    """An id of one turn stands at another one's call."""
    at, other = (_choose(talk, rng, lambda one: bool(one.calls)) for _ in range(2))
    if at is None or other is None or at == other:
        return False
    held, lender = talk.history[at], talk.history[other]
    assert isinstance(held, Held)
    assert isinstance(lender, Held)
    talk.history[at] = _altered(held, borrowed={0: lender.calls[0].minted})
    return True


def move_turn(talk: Conversation, rng: Random) -> bool:
    """A turn stands where another one stood."""
    at, other = (_choose(talk, rng, lambda one: True) for _ in range(2))
    if at is None or other is None or at == other:
        return False
    talk.history[at], talk.history[other] = talk.history[other], talk.history[at]
    return True


def repeat_turn(talk: Conversation, rng: Random) -> bool:
    """A turn stands twice."""
    at = _choose(talk, rng, lambda one: bool(one.calls))
    if at is None:
        return False
    held = talk.history[at]
    assert isinstance(held, Held)
    talk.history.insert(at, _altered(held))
    return True


def edit_words(talk: Conversation, rng: Random) -> bool:
    words = [at for at, one in enumerate(talk.history) if isinstance(one, Words)]
    if not words:
        return False
    talk.history[rng.choice(words)] = Words(f"No, rather part {rng.randrange(10**6)}.")
    return True


def speak_elsewhere(talk: Conversation, rng: Random) -> bool:
    """A turn that no model of the gateway's made, with generic words."""
    if talk.pending:
        return False
    talk.history += [Words(rng.choice(GENERIC)), Held([], rng.choice(SHORT), [])]
    return True


def call_elsewhere(talk: Conversation, rng: Random) -> bool:
    """The same with a call that many make."""
    if talk.pending:
        return False
    call = HeldCall("call_0", 0, "Read", '{"path": "README.md", "limit": 1, "at": 0}', "fine")
    words = Words(f"Only here {rng.randrange(10**6)}.")
    talk.history += [words, Held([], "", [call]), Held([], "That was it.", [])]
    return True


def _altered(held: Held, **members: object) -> Held:
    """A copy, so that other conversations keep theirs."""
    found = copy(held)
    for name, one in members.items():
        setattr(found, name, one)
    return found


CHANGES: dict[str, Change] = {
    "beginning compacted": compact,
    "middle dropped": drop_middle,
    "turn split in two": split,
    "two turns merged": merge,
    "rewound": rewind,
    "call rejected": reject_call,
    "ids moved to another turn": borrow_ids,
    "turn moved": move_turn,
    "turn repeated": repeat_turn,
    "words edited": edit_words,
    "answered elsewhere": speak_elsewhere,
    "called elsewhere": call_elsewhere,
}


def habits_of(rng: Random, lead: str) -> Habits:
    """A client's habits: the leading one, and a few by chance."""
    members: dict[str, object] = {}
    for given in HABITS.values():
        if rng.random() < 0.06:
            members |= given
    if lead in HABITS:
        members |= HABITS[lead]
    return replace(Habits(), **members)
