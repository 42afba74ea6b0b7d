"""Broken UTF-8 is mended where it is broken."""

import pytest

from addon.formats.wire.utf8 import as_utf8

THINKING = "思考".encode()


@pytest.mark.parametrize("text", [b"", b"a\r\n", THINKING, "é🧠\ufffd".encode()], ids=repr)
def test_text_that_is_utf_8_is_the_same_object(text: bytes) -> None:
    assert as_utf8(text) is text


@pytest.mark.parametrize(
    ("text", "mended"),
    [
        (b"a\xffb", "a\ufffdb"),
        (THINKING[:2] + b'"' + THINKING, '\ufffd"思考'),
        (THINKING[2:], "\ufffd考"),
        (b"\xed\xa0\xbd", "\ufffd\ufffd\ufffd"),
    ],
    ids=repr,
)
def test_what_is_broken_is_told_as_such(text: bytes, mended: str) -> None:
    assert as_utf8(text) == mended.encode()
