"""A byte stream is cut into events, whatever line ends it uses and however it arrives."""

import pytest

from addon.formats.wire.sse import (
    MAX_EVENT,
    Events,
    EventTooLarge,
    data_of,
    event,
    name_of,
    with_data,
)

STREAMS = {
    "LF": b"data: 1\n\ndata: 2\n\n",
    "CRLF": b"data: 1\r\n\r\ndata: 2\r\n\r\n",
    "CR": b"data: 1\r\rdata: 2\r\rx",
    "mixed": b"data: 1\n\r\ndata: 2\r\r\n",
    "CR, then LF only": b"data: 1\r\rdata: 2\n\n",
    "CR then LF": b"data: 1\r\n\ndata: 2\n\r\n",
    "blank lines between": b"\n\ndata: 1\n\n\n\n\ndata: 2\n\n",
    "a comment between": b": x\n\ndata: 1\n\n:\n\ndata: 2\n\n",
    "fields around": b"event: a\ndata: 1\nid: 7\n\nretry: 3\ndata:2\n\n",
    "mark": b"\xef\xbb\xbfdata: 1\n\ndata: 2\n\n",
}


def cut(pieces: list[bytes]) -> list[bytes]:
    events = Events()
    return [raw for piece in pieces for raw in events.feed(piece)]


@pytest.mark.parametrize("stream", STREAMS.values(), ids=STREAMS)
def test_events_are_the_same_however_the_bytes_arrive(stream: bytes) -> None:
    whole = cut([stream])
    assert [data for raw in whole if (data := data_of(raw)) is not None] == [b"1", b"2"]
    assert b"".join(whole) == stream.removesuffix(b"x")
    assert cut([stream[at : at + 1] for at in range(len(stream))]) == whole
    for at in range(len(stream)):
        assert cut([stream[:at], b"", stream[at:]]) == whole


def test_the_last_event_of_a_sender_that_uses_cr_waits_for_what_may_be_its_lf() -> None:
    events = Events()
    assert events.feed(b"data: 1\r\r") == []
    assert events.rest() == b"data: 1\r\r"


def test_the_rest_is_what_lacks_its_blank_line() -> None:
    events = Events()
    assert events.feed(b"data: 1\n\ndata: 2\n") == [b"data: 1\n\n"]
    assert events.rest() == b"data: 2\n"
    assert events.rest() == b""


def test_line_separators_of_unicode_end_no_line() -> None:
    raw = 'data: {"a":"\u2028\u2029\x85\x0b\x0c"}\n\n'.encode()
    assert cut([raw]) == [raw]
    assert data_of(raw) == raw[6:-2]


@pytest.mark.parametrize(
    ("raw", "data"),
    [
        pytest.param(b"data: a\n\n", b"a", id="plain"),
        pytest.param(b"data:a\n\n", b"a", id="no blank"),
        pytest.param(b"data:  a \n\n", b" a ", id="one blank is dropped"),
        pytest.param(b"data: a\r\n\r\n", b"a", id="CRLF"),
        pytest.param(b"data: a\r\r", b"a", id="CR"),
        pytest.param(b"data: a\ndata: b\n\n", b"a\nb", id="two lines"),
        pytest.param(b"data: a\r\ndata:\r\ndata: b\r\n\r\n", b"a\n\nb", id="an empty line within"),
        pytest.param(b"data\n\n", b"", id="no colon"),
        pytest.param(b"data: [DONE]", b"[DONE]", id="no blank line"),
        pytest.param(b"\xef\xbb\xbfdata: a\n\n", b"a", id="mark"),
        pytest.param(b"id: 1\nevent: x\ndata: a\n\n", b"a", id="other fields"),
        pytest.param(b": a\n\n", None, id="comment"),
        pytest.param(b"\n\n", None, id="blank"),
        pytest.param(b"datax: a\n\n", None, id="another field"),
        pytest.param(b" data: a\n\n", None, id="indented"),
    ],
)
def test_data_is_the_data_fields_content(raw: bytes, data: bytes | None) -> None:
    assert data_of(raw) == data


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        (b"data: a\n\n", ""),
        (b'data: {"event":"x"}\n\n', ""),
        (b"event: error\ndata: a\n\n", "error"),
        (b"data: a\r\nevent:error\r\n\r\n", "error"),
        (b"\xef\xbb\xbfevent: error\ndata: a\n\n", "error"),
        (b"event: a\nevent: b\ndata: a\n\n", "b"),
        (b"event: \xff\n\n", "\ufffd"),
    ],
)
def test_a_name_is_the_event_fields_content(raw: bytes, name: str) -> None:
    assert name_of(raw) == name


@pytest.mark.parametrize("name", ["", "error"])
@pytest.mark.parametrize("data", [b"", b'{"a":1}', b"a\nb\n\nc", '{"a":"\u2028"}'.encode()])
def test_an_event_that_was_made_is_read_back(data: bytes, name: str) -> None:
    (raw,) = cut([event(data, name)])
    assert (data_of(raw), name_of(raw)) == (data, name)


def test_an_event_without_end_is_refused() -> None:
    events = Events()
    half = b"x" * (MAX_EVENT // 2)
    assert len(events.feed(half + half[:-2] + b"\n\n")) == 1
    assert events.feed(half) == []
    with pytest.raises(EventTooLarge, match="longer than"):
        events.feed(half + b"x")


def test_each_line_of_the_data_is_one_of_the_event() -> None:
    raw = event(b"a\r\nb\rc\nd", "n")
    assert raw == b"event: n\ndata: a\ndata: b\ndata: c\ndata: d\n\n"
    assert Events().feed(raw) == [raw]


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b'id: 7\r\ndata:{"a":1}\r\n\r\n', b'id: 7\r\ndata:{"a":2}\r\n\r\n'),
        (b': hm\ndata: {"a":\ndata: 1}\nid: 7\n\n', b': hm\nid: 7\ndata: {"a":2}\n\n'),
        (b'\xef\xbb\xbfdata: {"a":\ndata: 1}\n\n', b'data: {"a":2}\n\n'),
        (b"id: {}\nevent: {}\ndata: {}\n\n", b'id: {}\nevent: {}\ndata: {"a":2}\n\n'),
        (b"data: a\n\n", b'data: {"a":2}\n\n'),
        (b"data: 1\ndata\n\n", b'data: {"a":2}\n\n'),
    ],
    ids=[
        *("one line", "several lines", "byte order mark"),
        *("the same elsewhere", "within the name", "an empty line"),
    ],
)
def test_an_event_with_other_data_keeps_its_other_lines(raw: bytes, expected: bytes) -> None:
    data = data_of(raw)
    assert data is not None
    assert with_data(raw, data, b'{"a":2}') == expected
