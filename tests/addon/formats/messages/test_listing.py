"""Counts and lists of models are as Messages clients read them."""

import json

import pytest
from anthropic.types import MessageTokensCount, ModelInfo

from addon.formats.messages.listing import decode_count, encode_count, encode_models


def test_a_count_is_told_and_read() -> None:
    assert MessageTokensCount.model_validate_json(encode_count(7)).input_tokens == 7
    assert decode_count(encode_count(7)) == 7


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b"<html>", b'{"input_tokens":-1}', b'{"input_tokens":"7"}']
)
def test_what_is_no_count_is_none(body: bytes) -> None:
    assert decode_count(body) is None


def test_models_are_listed_on_one_page() -> None:
    page = json.loads(encode_models(["a", "b/c"], 7))
    listed = [ModelInfo.model_validate(one) for one in page["data"]]
    assert [(one.id, one.display_name) for one in listed] == [("a", "a"), ("b/c", "b/c")]
    assert listed[0].created_at.timestamp() == 7
    assert (page["has_more"], page["first_id"], page["last_id"]) == (False, "a", "b/c")


def test_where_there_are_no_models_there_is_an_empty_page() -> None:
    assert json.loads(encode_models([], 7)) == {
        "data": [],
        "has_more": False,
        "first_id": None,
        "last_id": None,
    }
