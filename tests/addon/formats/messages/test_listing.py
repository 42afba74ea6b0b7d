"""Counts and lists of models are as Messages clients read them."""

import json

import pytest
from anthropic.types import MessageTokensCount, ModelInfo

from addon.formats.messages.listing import (
    Page,
    decode_count,
    encode_count,
    encode_model,
    encode_models,
    page_of,
)
from addon.formats.neutral.problem import RequestError


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


@pytest.mark.parametrize(
    ("page", "names", "has_more"),
    [
        (Page(), "abcde", False),
        (Page(limit=2), "ab", True),
        (Page(limit=5), "abcde", False),
        (Page(after="b", limit=2), "cd", True),
        (Page(after="c", limit=2), "de", False),
        (Page(after="e", limit=2), "", False),
        (Page(before="d", limit=2), "bc", True),
        (Page(before="c", limit=2), "ab", False),
        (Page(after="a", before="e", limit=2), "bc", True),
    ],
)
def test_a_page_is_cut_out_of_the_list(page: Page, names: str, has_more: bool) -> None:
    found = json.loads(encode_models("abcde", 7, page))
    assert [one["id"] for one in found["data"]] == list(names)
    assert found["has_more"] == has_more
    assert (found["first_id"], found["last_id"]) == (names[:1] or None, names[-1:] or None)


def test_a_query_names_a_page() -> None:
    assert page_of("limit=7&after_id=a%2Fb&beta=true") == Page(after="a/b", limit=7)
    assert page_of("before_id=c") == Page(before="c")
    assert page_of("") == Page()


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=x", "limit=-1"])
def test_a_page_has_a_sound_size(query: str) -> None:
    with pytest.raises(RequestError) as error:
        page_of(query)
    assert (error.value.problem.status, error.value.problem.param) == (400, "limit")


def test_a_page_begins_at_a_model_of_the_list() -> None:
    with pytest.raises(RequestError, match="'after_id' names no model"):
        encode_models("abc", 7, Page(after="z"))


def test_one_model_is_told() -> None:
    assert ModelInfo.model_validate_json(encode_model("a", 7)).id == "a"
