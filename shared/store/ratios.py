"""How many bytes make a token of a model, as its upstream counts them: the verbs over the table
`token_ratios`.
"""

import msgspec

from shared.store.engine import Engine, Statement

__all__ = ("Learned", "Ratio", "learn_ratio", "read_ratio")

_FADES = 20
"""A count weighs a twentieth less with each that comes after it."""

_WHOLE = 1_000_000
"""What remains of earlier counts is told in millionths: SQL has no powers that all engines know."""


class Ratio(msgspec.Struct, frozen=True):
    """How many bytes of a model's prompts and answers made how many tokens, as its upstream
    counted them.
    """

    prompt_bytes: int = 0
    prompt_tokens: int = 0
    answer_bytes: int = 0
    answer_tokens: int = 0


class Learned(msgspec.Struct, frozen=True):
    """Counts of one model that are still to be written."""

    sums: Ratio = Ratio()
    """With the earlier ones weighing less."""

    remains: float = 1.0
    """The share of what was counted before them that still counts after them."""

    def and_then(self, seen: Ratio) -> "Learned":
        """These and one more."""
        share = (_FADES - 1) / _FADES
        return Learned(_after(self.sums, round(share * _WHOLE), seen), self.remains * share)

    def onto(self, known: Ratio) -> Ratio:
        """What is known with them, once they are written."""
        return _after(known, round(self.remains * _WHOLE), self.sums)


def _after(earlier: Ratio, remains: int, later: Ratio) -> Ratio:
    """The later counts with what remains of the earlier ones, in millionths."""
    # Each by its name: this is done for each request, and a loop takes four times as long.
    return Ratio(
        earlier.prompt_bytes * remains // _WHOLE + later.prompt_bytes,
        earlier.prompt_tokens * remains // _WHOLE + later.prompt_tokens,
        earlier.answer_bytes * remains // _WHOLE + later.answer_bytes,
        earlier.answer_tokens * remains // _WHOLE + later.answer_tokens,
    )


def learn_ratio(model: str, learned: Learned) -> Statement:
    """Add what an upstream counted; older counts weigh less and less.

    All nodes write the same few rows, so it is committed by itself, not with what others wait
    for.
    """
    sql = f"""
        INSERT INTO token_ratios (model, prompt_bytes, prompt_tokens, answer_bytes, answer_tokens)
        VALUES (:model, :prompt_bytes, :prompt_tokens, :answer_bytes, :answer_tokens)
        ON CONFLICT (model) DO UPDATE SET {_FADED}
    """  # noqa: S608 - constants
    remains = round(learned.remains * _WHOLE)
    return sql, msgspec.structs.asdict(learned.sums) | {"model": model, "remains": remains}


_FADED = ", ".join(
    f"{name} = token_ratios.{name} * :remains / {_WHOLE} + excluded.{name}"
    for name in Ratio.__struct_fields__
)


def read_ratio(engine: Engine, model: str) -> Ratio:
    """What is known of a model; zeros when nothing is."""
    rows = engine.read(
        (
            "SELECT prompt_bytes, prompt_tokens, answer_bytes, answer_tokens FROM "
            "token_ratios WHERE model = :model"
        ),
        {"model": model},
    )
    return Ratio(*rows[0]) if rows else Ratio()
