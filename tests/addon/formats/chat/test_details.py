"""Steps of `reasoning_details` become the items that they are steps of."""

import json

import pytest

from addon.formats.chat.details import (
    Details,
    identity_of,
    is_secret,
    is_sendable,
    secrets_of,
    text_of,
)
from tests.support.turns import Json

TEXT: Json = {"type": "reasoning.text", "text": "a"}
SIGNED: Json = {"type": "reasoning.text", "signature": "s"}
BLOB: Json = {"type": "reasoning.encrypted", "data": "x", "id": "rs_1"}


@pytest.mark.parametrize(
    ("steps", "items"),
    [
        ([], []),
        ([TEXT, TEXT], [TEXT | {"text": "aa"}]),
        ([TEXT | {"index": 0}, TEXT | {"index": 1}], [TEXT | {"index": 0}, TEXT | {"index": 1}]),
        (
            [TEXT | {"index": 0}, BLOB | {"index": 1}, SIGNED | {"index": 0}],
            [TEXT | {"index": 0, "signature": "s"}, BLOB | {"index": 1}],
        ),
        ([TEXT, BLOB, TEXT], [TEXT, BLOB, TEXT]),
        (
            [TEXT | {"signature": "s"}, TEXT | {"signature": "t"}],
            [TEXT | {"signature": "s"}, TEXT | {"signature": "t"}],
        ),
        ([TEXT | {"id": None}, TEXT | {"id": "1"}], [TEXT | {"id": "1", "text": "aa"}]),
        (
            [{"type": "reasoning.summary", "summary": "a"}] * 2,
            [{"type": "reasoning.summary", "summary": "aa"}],
        ),
        ([BLOB | {"index": 0}] * 2, [BLOB | {"index": 0}]),
        ([BLOB, BLOB | {"data": "y"}], [BLOB, BLOB | {"data": "y"}]),
        (["odd", 1, None], ["odd", 1, None]),
    ],
)
def test_steps_join_by_index_type_and_id(steps: list[object], items: list[object]) -> None:
    details = Details()
    for step in steps:
        details.add([step])
    assert json.loads(details.text) == items


def test_an_empty_array_is_something_that_was_said() -> None:
    details = Details()
    assert not details.given
    details.add([])
    assert (details.given, details.text) == (True, "[]")


@pytest.mark.parametrize(
    ("item", "secret"), [(TEXT, False), (TEXT | SIGNED, True), (BLOB, True)], ids=str
)
def test_what_is_signed_or_encrypted_is_its_account_s(item: Json, secret: bool) -> None:
    assert is_secret(item) == secret


@pytest.mark.parametrize(
    ("item", "sendable"),
    [
        (TEXT | {"format": "anthropic-claude-v1"}, False),
        (TEXT | {"format": "anthropic-claude-v1", "signature": "s"}, True),
        (TEXT | {"format": "unknown"}, True),
        (BLOB, True),
        ("odd", True),
    ],
    ids=str,
)
def test_a_text_that_lacks_its_signature_is_not_sendable(item: object, sendable: bool) -> None:
    assert is_sendable(item) == sendable


@pytest.mark.parametrize(
    ("item", "identity"),
    [(BLOB, ("reasoning.encrypted", "rs_1")), (TEXT, None), (TEXT | {"id": None}, None), (1, None)],
)
def test_an_item_is_known_by_its_id(item: object, identity: tuple[str, str] | None) -> None:
    assert identity_of(item) == identity


def test_texts_may_have_the_id_that_all_of_them_have() -> None:
    assert identity_of(TEXT | {"id": "reasoning-text-1"}) is None


def test_what_follows_a_signature_is_another_text() -> None:
    details = Details()
    for text, signature in (("one", None), (None, "S1"), (" two", None), (None, "S2")):
        given = {"text": text, "signature": signature}
        details.add(
            [
                {"type": "reasoning.text", "index": 0}
                | {key: kept for key, kept in given.items() if kept}
            ]
        )
    found = [(item["text"], item["signature"]) for item in json.loads(details.text)]
    assert found == [("one", "S1"), (" two", "S2")]


def test_items_tell_their_text_and_their_secrets() -> None:
    summary = {"type": "reasoning.summary", "summary": "b", "text": None}
    items = [TEXT, SIGNED | {"text": 1}, summary, BLOB, {"data": 1}]
    assert (text_of(items), secrets_of(items)) == ("ab", ["s", "x"])
