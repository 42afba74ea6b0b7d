from shared.security.keys import digest
from shared.store.engine import Engine
from shared.store.key_rests import Resting, forget_rested, rest, resting, works_again

KEY = "sk-a-key-of-some-length"


def test_a_key_rests_until_its_time_is_over(engine: Engine) -> None:
    engine.try_write([rest("deepseek", KEY, 1_000, "the upstream answered 429")])

    assert resting(engine, 999) == {
        ("deepseek", digest(KEY)): Resting(1_000, "the upstream answered 429")
    }
    assert resting(engine, 1_000) == {}


def test_the_latest_word_counts(engine: Engine) -> None:
    engine.try_write([rest("deepseek", KEY, 1_000, "429"), rest("deepseek", KEY, 2_000, "401")])

    assert resting(engine, 0) == {("deepseek", digest(KEY)): Resting(2_000, "401")}


def test_a_key_that_works_again_rests_no_more_there(engine: Engine) -> None:
    engine.try_write([rest("deepseek", KEY, 1_000, "429"), rest("mimo", KEY, 1_000, "429")])
    engine.try_write([works_again("deepseek", KEY)])

    assert resting(engine, 0).keys() == {("mimo", digest(KEY))}


def test_what_is_over_is_forgotten(engine: Engine) -> None:
    engine.try_write([rest("deepseek", KEY, 1_000, "429"), rest("mimo", KEY, 2_000, "429")])
    engine.try_write([forget_rested(1_000)])

    assert resting(engine, 0).keys() == {("mimo", digest(KEY))}


def test_the_key_itself_is_not_stored(engine: Engine) -> None:
    engine.try_write([rest("deepseek", KEY, 1_000, "429")])

    [(_, stored, suffix)] = engine.read("SELECT upstream, key_digest, suffix FROM resting_keys")
    assert (stored, suffix) == (digest(KEY), KEY[-4:])
