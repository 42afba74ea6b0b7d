"""Copies of reasoning that clients carry open for whom they were made, and for nobody else."""

import msgspec
import pytest
from msgspec.structs import replace

from addon.formats.neutral.turn import Reasoning
from addon.recall.sealed import Copies, Copy, open_copy, seal_copy

SECRET = b"0123456789abcdef0123456789abcdef"
COPY = Copy(
    Reasoning("思考 because", "reasoning_content", "state", "encrypted_content", "rs_1"),
    "azure 0011",
    "responses",
)


def test_a_copy_holds_what_was_put_in() -> None:
    assert open_copy(SECRET, seal_copy(SECRET, COPY, "user:1"), "user:1") == COPY


def test_a_copy_tells_nothing_of_what_it_holds() -> None:
    assert "because" not in seal_copy(SECRET, COPY, "user:1")
    assert seal_copy(SECRET, COPY, "user:1") != seal_copy(SECRET, COPY, "user:1")


@pytest.mark.parametrize(
    ("secret", "caller"),
    [(SECRET, "user:2"), (SECRET[::-1], "user:1")],
    ids=["another caller", "another installation"],
)
def test_a_copy_opens_for_nobody_else(secret: bytes, caller: str) -> None:
    assert open_copy(secret, seal_copy(SECRET, COPY, "user:1"), caller) is None


@pytest.mark.parametrize(
    "text", ["", "gAAAAAB-of-openai", "tb1.", "tb1.!!!", "tb1.AAAA", "tb1." + "é" * 9]
)
def test_what_is_no_copy_of_ours_is_nothing(text: str) -> None:
    assert open_copy(SECRET, text, "user:1") is None


def test_a_changed_copy_is_nothing() -> None:
    copy = seal_copy(SECRET, COPY, "user:1")
    assert open_copy(SECRET, copy[:-8] + "AAAAAAAA", "user:1") is None


def test_reasoning_that_no_database_could_hold_is_not_carried() -> None:
    assert seal_copy(SECRET, Copy(Reasoning("\ud800", "reasoning_content"), ""), "user:1") == ""


STATE = Reasoning("thought", "reasoning_content", opaque="state")


def copied(account: str, reasoning: Reasoning = STATE) -> Reasoning:
    """The reasoning as the client carries it, of an answer of the account."""
    copies = Copies(SECRET, "user:1")
    copies.account = account
    return replace(reasoning, opaque=copies.seal(reasoning))


def test_state_is_foreign_to_every_account_but_its_own() -> None:
    copies = Copies(SECRET, "user:1")
    assert copies.open(copied("one")) == STATE
    assert copies.origins == {"state": "one"}
    assert copies.foreign("one") == frozenset()
    assert copies.foreign("two") == {"state"}


def test_reasoning_without_state_belongs_to_no_account() -> None:
    copies = Copies(SECRET, "user:1")
    bare = replace(STATE, opaque="")
    assert copies.open(copied("one", bare)) == bare
    assert (copies.origins, copies.foreign("two")) == ({}, frozenset())


@pytest.mark.parametrize(
    ("carrier", "opaque"),
    [
        ("<think>", "<think>thought</think>"),
        ("content[].thinking", '[{"type":"thinking","thinking":"thought"}]'),
        ("reasoning_details", '[{"type":"reasoning.text","text":"thought"}]'),
    ],
)
def test_thinking_in_plain_words_belongs_to_no_account(carrier: str, opaque: str) -> None:
    copies = Copies(SECRET, "user:1")
    said = Reasoning("thought", "reasoning", opaque, carrier)
    older = seal_copy(SECRET, Copy(said, "one"), "user:1")
    for copy in (copied("one", said), replace(said, opaque=older)):
        assert copies.open(copy) == said
        assert (copies.origins, copies.foreign("two")) == ({}, frozenset())


def test_what_is_no_copy_of_the_callers_is_not_opened() -> None:
    assert Copies(SECRET, "user:2").open(copied("one")) is None
    assert Copies(SECRET, "user:1").open(STATE) is None


class OldCopy(msgspec.Struct, array_like=True):
    """A copy as it was made before it had a family."""

    reasoning: Reasoning
    origin: str


def of_family(family: str, reasoning: Reasoning = STATE) -> Reasoning:
    copies = Copies(SECRET, "user:1")
    copies.family = family
    return replace(reasoning, opaque=copies.seal(reasoning))


def test_what_other_families_have_thought_is_known() -> None:
    copies = Copies(SECRET, "user:1")
    for family, text in (("kimi", "a"), ("glm", "b"), ("kimi", "c"), ("glm", "c")):
        copies.open(of_family(family, Reasoning(text, "reasoning_content")))
    assert {one.text for one in copies.of_others("kimi")} == {"b"}
    assert {one.text for one in copies.of_others("qwen")} == {"a", "b", "c"}


def test_an_older_copy_is_of_any_family() -> None:
    older = seal_copy(SECRET, OldCopy(STATE, "one"), "user:1")  # type: ignore[arg-type]
    copies = Copies(SECRET, "user:1")
    assert copies.open(replace(STATE, opaque=older)) == STATE
    assert copies.origins == {"state": "one"}
    assert copies.of_others("kimi") == frozenset()


def test_what_a_retired_secret_sealed_opens_and_nothing_is_sealed_with_it() -> None:
    old, new = Copies(b"o" * 32, "user:1"), Copies(b"n" * 32, "user:1", [b"o" * 32])
    thought = Reasoning("thought", "reasoning_content")
    carried = replace(thought, opaque=old.seal(thought))

    assert new.open(carried) == thought
    assert old.open(replace(thought, opaque=new.seal(thought))) is None
    assert Copies(b"n" * 32, "user:2", [b"o" * 32]).open(carried) is None
