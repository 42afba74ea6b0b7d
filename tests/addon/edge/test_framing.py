"""Bodies are cut out of a connection's bytes as h11 cuts them, in whatever pieces these come."""

from itertools import pairwise

import h11
import pytest
from h11._readers import ChunkedReader, ContentLengthReader
from h11._receivebuffer import ReceiveBuffer
from hypothesis import example, given
from hypothesis import strategies as st

from addon.edge.framing import (
    ChunkedBody,
    Framing,
    Malformed,
    SizedBody,
    UnboundedBody,
    body_of,
)

type Cuts = list[int]

cuts = st.lists(st.integers(0, 200), max_size=8)
chunks = st.lists(st.binary(min_size=1, max_size=40), max_size=6)
extensions = st.sampled_from([b"", b";a", b';a="b"', b" ", b"\t "])
trailers = st.sampled_from([b"", b"X: 1\r\n", b"X: 1\r\nY: 2\r\n"])
noise = st.one_of(
    st.binary(max_size=30),
    st.lists(
        st.sampled_from([b"0", b"5", b"a", b"\r\n", b"\n", b"\r", b";", b"hello", b"-", b"+1"]),
        max_size=12,
    ).map(b"".join),
)


def cut(text: bytes, at: Cuts) -> list[bytes]:
    places = sorted({0, len(text), *(place for place in at if place < len(text))})
    return [text[a:b] for a, b in pairwise(places)]


def read(body: Framing, pieces: list[bytes]) -> tuple[bytes, bytes] | str:
    """What a body holds and what follows it, or how far it is."""
    out = b""
    try:
        for at, piece in enumerate(pieces):
            out += body.feed(piece)
            if body.ended:
                return out, body.rest + b"".join(pieces[at + 1 :])
    except Malformed:
        return "malformed"
    return f"more after {len(out)}"


def read_by_h11(
    reader: ChunkedReader | ContentLengthReader, pieces: list[bytes]
) -> tuple[bytes, bytes] | str:
    out, buffer = b"", ReceiveBuffer()
    try:
        for at, piece in enumerate(pieces):
            buffer += piece
            while event := reader(buffer):
                if isinstance(event, h11.EndOfMessage):
                    return out, bytes(buffer) + b"".join(pieces[at + 1 :])
                out += bytes(event.data)
    except h11.ProtocolError:
        return "malformed"
    return f"more after {len(out)}"


@given(chunks, extensions, trailers, noise, cuts)
def test_chunks_are_read_as_h11_reads_them(
    pieces: list[bytes], extension: bytes, last: bytes, after: bytes, at: Cuts
) -> None:
    text = b"".join(b"%x%b\r\n%b\r\n" % (len(one), extension, one) for one in pieces)
    text += b"0\r\n" + last + b"\r\n" + after
    found = read(ChunkedBody(), cut(text, at))
    assert found == read_by_h11(ChunkedReader(), cut(text, at))
    assert found[0] == b"".join(pieces)


@given(noise, cuts)
@example(b"5\r\nhello\r\r", [])
@example(b"5\r\nhelloX\r\n0\r\n\r\n", [])
@example(b"-1\r\n", [])
@example(b" 5\r\nhello\r\n", [])
@example(b"fffffffffffffffffffff\r\n", [])
def test_what_h11_takes_for_chunks_is_read_alike_and_nothing_else(text: bytes, at: Cuts) -> None:
    # More is to come in any case, by which h11 notices what is wrong with the end of a chunk.
    pieces = [*cut(text, at), b"X" * 9 + b"\r\n"]
    theirs = read_by_h11(ChunkedReader(), pieces)
    if b"\r\n0" not in b"\r\n" + text:  # h11 decodes trailers, which are dropped here
        # h11 looks at the two bytes after a chunk one by one.
        assert theirs in (read(ChunkedBody(), pieces), read(ChunkedBody(), [*pieces, b"!"]))
    elif theirs != "malformed":
        assert read(ChunkedBody(), pieces) == theirs


@given(st.integers(0, 60), st.binary(max_size=80), cuts)
def test_a_body_of_known_length_is_read_as_h11_reads_it(size: int, text: bytes, at: Cuts) -> None:
    pieces = cut(text, at) or [b""]
    assert read(SizedBody(size), pieces) == read_by_h11(ContentLengthReader(size), pieces)


@pytest.mark.parametrize("text", [b"5" * 70_000, b"0\r\n" + b"a: b\r\n" * 20_000])
def test_a_header_of_a_chunk_and_trailers_have_a_bound(text: bytes) -> None:
    with pytest.raises(Malformed):
        ChunkedBody().feed(text)


def test_a_body_without_length_ends_with_its_connection() -> None:
    body = UnboundedBody()
    assert (body.feed(b"a"), body.ended) == (b"a", False)
    body.close()
    assert body.ended


@pytest.mark.parametrize("body", [SizedBody(3), ChunkedBody()])
def test_a_body_that_is_cut_off_is_malformed(body: Framing) -> None:
    body.feed(b"1\r")
    with pytest.raises(Malformed):
        body.close()


@pytest.mark.parametrize(
    ("expected", "kind"), [(None, ChunkedBody), (-1, UnboundedBody), (7, SizedBody)]
)
def test_mitmproxy_says_which_framing_it_is(expected: int | None, kind: type[Framing]) -> None:
    assert isinstance(body_of(expected), kind)
