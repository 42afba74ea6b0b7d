"""What is asked, answered and called in a conversation: generic words and rare ones."""

import json
from random import Random

from tests.support.turns import Call, Turn

__all__ = ("GENERIC", "SHORT", "prompt_of", "result_of", "turn_of")

GENERIC = ("continue", "go on", "yes")
SHORT = ("Done.", "OK", "Let me look.")
COMMON = "I have read the file and will now change the lines that you named, one by one, in order."
BLANKS = ("", "\n", "  ")


def prompt_of(script: str, step: int) -> str:
    """The user's words at a step."""
    rng = Random(f"{script} {step} words")
    return rng.choice(
        (
            rng.choice(GENERIC),
            f"Look at part {rng.randrange(10**6)}.",
            f"Please rename the function in module {rng.randrange(10**6)} and adapt every caller.",
        )
    )


def turn_of(script: str, step: int, number: int, ids: str) -> Turn:
    """The model's answer at a step; its reasoning is that of the turn `number` alone."""
    rng = Random(f"{script} {step} answer")
    calls: tuple[Call, ...] = ()
    if rng.random() < 0.55:
        count = rng.choice((1, 1, 2, 3))
        calls = tuple(_call(rng, number, at, ids) for at in range(count))
    text = _text(rng)
    if calls and rng.random() < 0.4:
        text = ""
    return Turn(reasoning=_reasoning(number), text=text, calls=calls)


def result_of(script: str, step: int, at: int) -> str:
    """What the tool gives for a call."""
    rng = Random(f"{script} {step} result {at}")
    return rng.choice(("fine", f"line {rng.randrange(10**6)}\nof the file"))


def _text(rng: Random) -> str:
    unique = f"Module {rng.randrange(10**6)} wäre fertig"
    return rng.choice(
        (
            rng.choice(SHORT),
            rng.choice(SHORT),
            COMMON,
            unique + ".",
            f"{unique}:\nall callers were adapted, and every test that names it passes again.",
        )
    )


def _call(rng: Random, number: int, at: int, ids: str) -> Call:
    path = rng.choice(("README.md", f"src/{rng.randrange(10**6)}/größe.py"))
    given = {"path": path, "limit": 1, "at": at}
    own = {"repeating": f"call_{at}", "one": "call", "unique": f"own_{number}_{at}"}[ids]
    return Call(own, "Read", json.dumps(given))


def _reasoning(number: int) -> str | None:
    rng = Random(f"reasoning {number}")
    if rng.random() < 0.06:
        return rng.choice(("", None))
    return f"{rng.choice(BLANKS)}Thought #{number}# über alles.{rng.choice(BLANKS)}"
