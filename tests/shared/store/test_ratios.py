"""What makes a token is learned as the upstream counts, and what was counted long ago fades."""

import pytest

from shared.store.engine import Engine
from shared.store.ratios import Learned, Ratio, learn_ratio, read_ratio

SEEN = Ratio(2000, 1000, 200, 100)


def learned(*seen: Ratio) -> Learned:
    all_of_it = Learned()
    for each in seen:
        all_of_it = all_of_it.and_then(each)
    return all_of_it


def test_ratios_are_learned_and_old_ones_fade(engine: Engine) -> None:
    assert read_ratio(engine, "m") == Ratio()
    engine.try_write([learn_ratio("m", learned(Ratio(4000, 1000, 400, 100)))])
    assert read_ratio(engine, "m") == Ratio(4000, 1000, 400, 100)
    engine.try_write([learn_ratio("m", learned(SEEN)) for _ in range(200)])
    found = read_ratio(engine, "m")
    assert found.prompt_bytes / found.prompt_tokens == pytest.approx(2, rel=0.01)


@pytest.mark.parametrize("number", [1, 3, 40])
def test_what_is_written_together_comes_to_the_same_as_one_after_the_other(
    engine: Engine, number: int
) -> None:
    first = Ratio(40_000, 10_000, 4000, 1000)
    engine.try_write([learn_ratio(model, learned(first)) for model in ("apart", "together")])
    engine.try_write([learn_ratio("apart", learned(SEEN)) for _ in range(number)])
    engine.try_write([learn_ratio("together", learned(*[SEEN] * number))])
    apart, together = read_ratio(engine, "apart"), read_ratio(engine, "together")
    assert together.prompt_bytes == pytest.approx(apart.prompt_bytes, rel=0.01)
    assert together.answer_tokens == pytest.approx(apart.answer_tokens, rel=0.02)
    assert learned(*[SEEN] * number).onto(first) == together
