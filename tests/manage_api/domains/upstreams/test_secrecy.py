import pytest

from manage_api.domains.upstreams.secrecy import (
    MaskError,
    mask_headers,
    unmask_headers,
    unmask_keys,
)

KNOWN = ["sk-first-key-1111", "sk-other-key-1111", "sk-third-key-2222", "short"]


def test_headers_that_sound_secret_are_masked() -> None:
    headers = {
        "Authorization": "Bearer abcdefgh",
        "X-Api-Key": "abcdefghij",
        "x-goog-token": "abcdefghij",
        "Cookie": "id=12345678",
        "X-Secret": "short",
        "X-Team": "blue",
    }

    assert list(mask_headers(headers).values()) == [
        "…efgh",
        "…ghij",
        "…ghij",
        "…5678",
        "…",
        "blue",
    ]


@pytest.mark.parametrize(
    ("given", "keys"),
    [
        (["…2222"], ["sk-third-key-2222"]),
        (["…1111", "new", "…1111"], ["sk-first-key-1111", "new", "sk-other-key-1111"]),
        (["…"], ["short"]),
        ([], []),
    ],
    ids=["one", "two alike", "short", "none"],
)
def test_a_mask_becomes_its_key(given: list[str], keys: list[str]) -> None:
    assert unmask_keys(given, KNOWN) == keys


@pytest.mark.parametrize(
    "given",
    [
        ["x", "…3333"],
        ["x", "…1111"],
        ["x", "…1111", "…1111", "…1111"],
        ["x", "…2222", "…2222"],
        ["x", "…first-key-1111"],
    ],
    ids=["of none", "of two", "too many", "twice", "longer"],
)
def test_a_mask_that_does_not_stand_for_one_key_is_refused_where_it_is(given: list[str]) -> None:
    with pytest.raises(MaskError, match="enter it in full") as refused:
        unmask_keys(given, KNOWN)
    assert refused.value.field == "api_keys[1]"


def test_a_masked_header_becomes_its_value() -> None:
    known = {"X-Key": "abcdefghij", "X-Team": "…blue"}

    assert unmask_headers({"X-Key": "…ghij", "X-Team": "…red"}, known) == {
        "X-Key": "abcdefghij",
        "X-Team": "…red",
    }


@pytest.mark.parametrize(
    "given", [{"X-Key": "…zzzz"}, {"X-Other-Key": "…ghij"}], ids=["other value", "other name"]
)
def test_a_masked_header_of_nothing_is_refused_where_it_is(given: dict[str, str]) -> None:
    with pytest.raises(MaskError) as refused:
        unmask_headers(given, {"X-Key": "abcdefghij"})
    assert refused.value.field == f"headers.{next(iter(given))}"
