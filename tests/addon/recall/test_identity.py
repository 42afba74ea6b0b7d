"""Minted ids tell ours from others'; fingerprints stay the same under what clients change,
and nothing else.
"""

import hashlib
import re
import string
import sys
import unicodedata

import pytest

from addon.recall.identity import (
    MintedId,
    canonical_arguments,
    digest,
    mint,
    new_token,
    normal_text,
    query_of,
    read_minted,
)
from tests.support.breaths import breaths

KEY = b"the gateway's key"
TOKEN = new_token(bytes(range(16)))


def test_a_minted_id_is_call_and_26_alphanumerics() -> None:
    assert re.fullmatch("call_[0-9A-Za-z]{26}", mint(TOKEN, 0, KEY))


@pytest.mark.parametrize("index", [0, 1, 61, 62, 127, 3843])
def test_a_minted_id_names_its_turn_and_call(index: int) -> None:
    assert read_minted(mint(TOKEN, index, KEY), KEY) == MintedId(TOKEN, index)


def test_an_id_is_minted_the_same_again() -> None:
    assert mint(TOKEN, 3, KEY) == mint(TOKEN, 3, KEY)
    assert len({mint(TOKEN, index, KEY) for index in range(200)}) == 200


@pytest.mark.parametrize("at", range(5, 31))
def test_an_id_with_one_other_letter_is_not_ours(at: int) -> None:
    ours = mint(TOKEN, 0, KEY)
    other = next(letter for letter in string.ascii_letters if letter != ours[at])
    assert read_minted(ours[:at] + other + ours[at + 1 :], KEY) is None


@pytest.mark.parametrize(
    "call_id",
    [
        "",
        "call_0",
        "functions.Read:0",
        "toolu_01AbCdEfGhIjKlMnOpQrStUv",
        "call_" + "a" * 24,
        "call_" + "a" * 26,
        "call_" + "é" * 26,
        mint(TOKEN, 0, KEY) + "\n",
        " " + mint(TOKEN, 0, KEY),
        mint(TOKEN, 0, KEY).upper(),
    ],
)
def test_foreign_ids_are_not_ours(call_id: str) -> None:
    assert read_minted(call_id, KEY) is None


def test_an_id_of_another_gateway_is_not_ours() -> None:
    assert read_minted(mint(TOKEN, 0, b"another key"), KEY) is None


def test_tokens_are_16_letters_of_all_the_randomness() -> None:
    tokens = {new_token(bytes(11) + bytes([low])) for low in range(256)} | {new_token(b"\xff" * 16)}
    assert len(tokens) == 257
    assert {len(token) for token in tokens} == {16}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("ab", "c"), ("a", "bc")),
        (("a",), ("a", "")),
        (("a", "b"), ("b", "a")),
        (("a\x00", "b"), ("a", "\x00b")),
    ],
)
def test_lists_of_parts_never_share_a_digest(one: tuple[str, ...], other: tuple[str, ...]) -> None:
    assert digest(*one) != digest(*other)


def test_a_digest_takes_broken_surrogates_and_bytes() -> None:
    assert len(digest("half \ud83e", b"\xff")) == 16


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a\r\nb", "a\nb"),
        ("a\rb", "a\nb"),
        ("  a\n", "a"),
        ("e\u0301", "é"),
        ("half \ud83e", "half \ufffd"),
        ("\u00a0a\u3000", "a"),
    ],
    ids=["CRLF", "CR", "blanks around", "composition", "broken surrogate", "wide blanks"],
)
def test_texts_that_clients_change_on_the_way_are_the_same(one: str, other: str) -> None:
    assert normal_text(one) == normal_text(other)


@pytest.mark.parametrize(
    ("one", "other"), [("a b", "a  b"), ("a", "A"), ("a", "a."), ("a\n\nb", "a\nb")]
)
def test_texts_that_differ_inside_differ(one: str, other: str) -> None:
    assert normal_text(one) != normal_text(other)


@pytest.mark.parametrize(
    "text",
    [
        "<timestamp>today</timestamp>\n<user_query>\nFix it\n</user_query>",
        "<user_query>Fix it</user_query> <open_files>b.py</open_files>",
        " Fix it\r\n",
        "<user_query>Fix it</user_query><user_query>other</user_query>",
    ],
)
def test_the_user_s_words_are_what_counts_of_a_message(text: str) -> None:
    assert query_of(text) == "Fix it"


def test_an_unfinished_tag_is_part_of_the_words() -> None:
    assert query_of("<user_query>Fix it") == "<user_query>Fix it"


def test_a_million_unfinished_tags_are_read_once() -> None:
    tags = "<user_query>" * 1_000_000  # a search that starts anew at each of them takes hours
    assert query_of(tags) == tags


@pytest.mark.parametrize(
    "marks",
    ["\u0301\u0316", "\U0001d16d\U0001d165", "\u0301\U0001d165"],
    ids=["accents", "music", "mixed"],
)
def test_a_text_with_more_marks_on_a_letter_than_a_language_has_is_not_composed(marks: str) -> None:
    many = (
        marks[0] * 500_000 + marks[1] * 500_000
    )  # composing sorts them one by one, which takes hours
    assert normal_text(f"e{many}\r\n") == f"e{many}"
    assert normal_text("e" + "\u0301" * 30) == "é" + "\u0301" * 29


def test_no_mark_is_forgotten() -> None:
    every = [chr(code) for code in range(sys.maxunicode) if unicodedata.combining(chr(code))]
    assert all(normal_text(f"e\u0301{mark * 31}").startswith("e\u0301") for mark in every)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('{"a": 1, "b": [1, 2]}', '{"b":[1,2],"a":1}'),
        ('{"a": "\\u00e9"}', '{"a":"é"}'),
        ('{"a": 1.0}', '{"a":1}'),
        ('{"a": "x\\r\\n"}', '{"a":"x\\n"}'),
        ("*** Begin Patch\r\n", "*** Begin Patch"),
        ("", " "),
    ],
    ids=["spacing and order", "escapes", "whole numbers", "line ends", "no JSON", "nothing"],
)
def test_arguments_are_the_same_however_they_are_spelled(one: str, other: str) -> None:
    assert canonical_arguments(one) == canonical_arguments(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('{"a": 1}', '{"a": "1"}'),
        ('{"a": 1}', '{"a": true}'),
        ('{"a": [1, 2]}', '{"a": [2, 1]}'),
        ('{"a": null}', "{}"),
        ('{"a": 1.5}', '{"a": 1}'),
        ('{"a": []}', '{"a": {}}'),
        ('"a"', "a"),
    ],
)
def test_arguments_that_mean_something_else_differ(one: str, other: str) -> None:
    assert canonical_arguments(one) != canonical_arguments(other)


@pytest.mark.parametrize(
    "arguments",
    [
        '{"a": 1, " a": "x"}',
        '{"a": 1, "a ": null}',
        "[" * 700 + "]" * 700,
        '{"a": 1e999, "b": NaN}',
        '"\ud83e"',
    ],
    ids=[
        "keys that look alike",
        "and without order",
        "deep",
        "numbers beyond doubles",
        "broken surrogate",
    ],
)
def test_odd_arguments_have_a_fingerprint_too(arguments: str) -> None:
    assert canonical_arguments(arguments) == canonical_arguments(arguments)


MEGABYTES = 3 * 1024 * 1024
UNITS = {
    "plain": "some words\r\n",
    "carriage returns": "\r\n\r",
    "line ends": "\n",
    "accents apart": "e\u0301 a\u0308",
    "accents alone": "\u00e4",
    "Hangul apart": "\u1112\u1161\u11ab",
    "Devanagari": "\u0915\u093c\u0928\u093c",
    "surrogates": "a\ud83d",
    "emoji": "😀é",
}


@pytest.mark.parametrize("unit", UNITS.values(), ids=UNITS)
def test_a_long_text_is_made_normal_in_pieces_to_what_it_is_at_once(unit: str) -> None:
    text = (unit + "x") * 20 + unit * (MEGABYTES // len(unit))
    whole = re.sub("[\ud800-\udfff]", "\ufffd", text)
    whole = unicodedata.normalize("NFC", whole).replace("\r\n", "\n").replace("\r", "\n").strip()
    normal, count = breaths(lambda: normal_text(text))
    assert normal == whole
    assert count >= 10


def test_a_text_of_nothing_but_vowels_of_hangul_is_made_normal_in_pieces_too() -> None:
    assert breaths(lambda: normal_text("\u1161" * MEGABYTES))[1] >= 10


@pytest.mark.parametrize("part", ["ä😀\ud83d" * (MEGABYTES // 3), b"x" * MEGABYTES])
def test_a_long_part_is_digested_in_pieces_to_what_it_is_at_once(part: str | bytes) -> None:
    encoded = part if isinstance(part, bytes) else part.encode("utf-8", "surrogatepass")
    framed = b"".join([len(one).to_bytes(8) + one for one in (b"a", encoded, b"")])
    found, count = breaths(lambda: digest("a", part, b""))
    assert found == hashlib.blake2b(framed, digest_size=16).digest()
    assert count >= 10


def test_arguments_of_more_values_than_any_call_has_are_a_text() -> None:
    many = "[" + "1 ," * 20_001 + "1]"
    assert canonical_arguments(many) == many
    assert canonical_arguments("[1 ,1]") == "(1, 1)"
    long = '{"a" : "' + "x" * 1_100_000 + '"}'
    assert canonical_arguments(long) == long
