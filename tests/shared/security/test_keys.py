"""Virtual keys are random, recognised by shape, stored as digests and shown by their end only."""

import hashlib

import pytest

from shared.security.keys import digest, looks_like_key, mask, mint_key, suffix


def test_minted_keys_have_the_shape_and_differ() -> None:
    keys = {mint_key() for _ in range(1000)}
    assert len(keys) == 1000
    assert all(looks_like_key(key) for key in keys)


def test_minted_keys_use_the_whole_alphabet() -> None:
    letters = {letter for _ in range(100) for letter in mint_key()[3:]}
    assert len(letters) == 62


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sk-",
        "sk-short",
        "sk-" + "a" * 42,
        "sk-" + "a" * 44,
        "sk-" + "a" * 42 + "-",
        "sk-" + "é" * 43,
        "pk-" + "a" * 43,
        "sk-" + "a" * 43 + "\n",
        " sk-" + "a" * 43,
    ],
)
def test_what_was_not_minted_does_not_look_like_a_key(text: str) -> None:
    assert not looks_like_key(text)


def test_a_digest_is_sha256_in_hex() -> None:
    assert digest("sk-abc") == hashlib.sha256(b"sk-abc").hexdigest()


def test_any_header_value_has_a_digest_of_its_own() -> None:
    values = ["", "é", "\x00", "\ud800", "\udcff", "ÿ"]
    assert len({digest(value) for value in values}) == len(values)


def test_a_key_is_shown_by_its_last_four_characters() -> None:
    key = mint_key()
    assert suffix(key) == key[-4:]
    assert mask(key) == f"…{key[-4:]}"


def test_a_short_key_is_not_given_away() -> None:
    assert suffix("12345678") == ""
    assert mask("12345678") == "…"
    assert mask("") == "…"
