"""mitmproxy's headers say the same of themselves as its own code does."""

from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mitmproxy.http import Headers

from addon.edge import header_fields

METHODS = ("__init__", "get_all", "get", "__contains__")

NAMES = st.sampled_from([b"Host", b"host", b"X-A", b"x-\xc3\xa9", b"x-\xff", b""])
FIELDS = st.lists(st.tuples(NAMES, st.binary(max_size=4)), max_size=6)

SAID: tuple[Callable[[Headers, str | bytes], object], ...] = (
    lambda headers, name: headers.fields,
    lambda headers, name: headers.get_all(name),
    lambda headers, name: headers.get(name),
    lambda headers, name: headers.get(name, "none"),
    lambda headers, name: name in headers,
    lambda headers, name: headers.pop(name, None),
    lambda headers, name: headers.update({name: "new"}),
    lambda headers, name: headers.setdefault(name, "other"),
    lambda headers, name: list(headers.items()),
)


@pytest.fixture(autouse=True, scope="module")
def restored() -> Iterator[None]:
    """mitmproxy's own methods, after the tests again."""
    with pytest.MonkeyPatch.context() as patch:
        for name in METHODS:
            patch.setattr(Headers, name, getattr(Headers, name))
        yield


def all_said(fields: list[tuple[bytes, bytes]], name: str | bytes) -> list[object]:
    headers = Headers(fields)
    return [say(headers, name) for say in SAID]


@given(FIELDS, NAMES, st.booleans())
def test_headers_are_found_as_mitmproxy_finds_them(
    fields: list[tuple[bytes, bytes]], raw: bytes, as_text: bool
) -> None:
    name: str | bytes = raw
    if as_text:
        name = raw.decode("utf-8", "surrogateescape")
    with pytest.MonkeyPatch.context() as patch:
        for method in METHODS:
            patch.setattr(Headers, method, getattr(Headers, method))
        before = all_said(fields, name)
        header_fields.install()
        assert all_said(fields, name) == before


def test_headers_can_be_named_as_arguments_and_are_bytes() -> None:
    header_fields.install()
    assert Headers([(b"a", b"b")], content_type="x/y").fields == (
        (b"a", b"b"),
        (b"content-type", b"x/y"),
    )
    with pytest.raises(TypeError):
        Headers([("a", "b")])  # type: ignore[list-item]
