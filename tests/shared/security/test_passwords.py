"""Passwords are hashed, checked, and refused in words."""

import re

import pytest

from shared.security import passwords
from shared.security.passwords import (
    check_password,
    hash_new_password,
    hash_password,
    is_well_known,
    needs_rehash,
    password_fault,
    readable_password,
)

HASH_OF_BRIDGE = "$2b$04$nc3DlZpOxRHlZwr6SvuBL.FBqXt/a81j1JeLdCSXzsUTjIWgh9l2G"


def test_a_hashed_password_is_the_only_one_accepted() -> None:
    password_hash = hash_password("längeres Passwort ✓")
    assert check_password("längeres Passwort ✓", password_hash)
    assert not needs_rehash(password_hash)


def test_a_hash_of_another_cost_is_still_right_but_wants_a_new_one() -> None:
    assert check_password("bridge", HASH_OF_BRIDGE)
    assert not check_password("Bridge", HASH_OF_BRIDGE)
    assert needs_rehash(HASH_OF_BRIDGE)


def test_an_unknown_user_is_refused_at_the_cost_of_a_known_one() -> None:
    assert not check_password("anything", None)
    assert not needs_rehash(passwords._NOBODY.decode())


@pytest.mark.parametrize(
    ("password", "words"),
    [
        pytest.param("", "empty", id="empty"),
        pytest.param("x" * 73, "it has 73 bytes of UTF-8, and at most 72 are allowed", id="long"),
        pytest.param("é" * 37, "it has 74 bytes", id="long-in-bytes"),
        pytest.param("\ud800", "not valid text", id="surrogate"),
    ],
)
def test_a_password_that_cannot_be_one_is_refused_in_words_and_never_right(
    password: str, words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        hash_password(password)
    assert not check_password(password, HASH_OF_BRIDGE)


@pytest.mark.parametrize("password", ["12 charact€rs", "eightchr", "longer than bcrypt reads " * 4])
def test_nothing_speaks_against_a_password_of_eight_characters(password: str) -> None:
    assert password_fault(password, "ada") == ""


@pytest.mark.parametrize(
    ("password", "words"),
    [
        ("", "at least 8 characters"),
        ("short12", "at least 8 characters"),
        ("Ada Lovelace", "is the username"),
        ("PASSWORD", "Anyone could guess"),
        ("12345678", "Anyone could guess"),
    ],
)
def test_a_password_that_others_would_guess_is_refused_in_words(password: str, words: str) -> None:
    assert words in password_fault(password, "ada lovelace")


@pytest.mark.parametrize(
    "password", ["admin", "Password", "CHANGEME", "123456", "letmein", "ada", "ADA"]
)
def test_a_password_that_is_tried_first_is_well_known_in_any_case(password: str) -> None:
    assert is_well_known(password, "Ada")


@pytest.mark.parametrize("password", ["", "correct horse", "admin's own", "ada lovelace"])
def test_other_passwords_are_not_well_known(password: str) -> None:
    assert not is_well_known(password, "ada")


@pytest.mark.parametrize(
    ("password", "words"),
    [
        ("changeme", "Anyone could guess"),
        ("short12", "at least 8"),
        ("x" * 73, "at most 72 are allowed"),
        ("\ud800" * 8, "text"),
    ],
)
def test_a_new_password_that_should_be_another_has_no_hash(password: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        hash_new_password(password, "ada")


def test_a_new_password_is_hashed_like_any() -> None:
    assert check_password("a long password", hash_new_password("a long password", "ada"))


def test_a_readable_password_can_be_copied_by_hand_and_is_no_other() -> None:
    made, other = readable_password(), readable_password()
    assert re.fullmatch(r"([a-hjkmnp-z2-9]{4}-){3}[a-hjkmnp-z2-9]{4}", made)
    assert made != other
    assert password_fault(made, "ada") == ""
