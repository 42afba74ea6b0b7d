"""Compressed answers are read within bounds; what can't be read is refused."""

import gzip
import zlib

import brotli
import pytest
import zstandard

from addon.formats.wire.inflate import (
    FREE_BYTES,
    MAX_BYTES,
    MAX_RATIO,
    SLICE,
    Inflate,
    TooLarge,
    Unreadable,
    is_known,
)

TEXT = 'data: {"text":"思考 🧠"}\n\n'.encode() * 200


def inflated(coding: str, body: bytes, size: int = 1_000_000) -> bytes:
    inflate = Inflate(coding)
    return b"".join(inflate.feed(body[at : at + size]) for at in range(0, len(body), size))


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        ("", TEXT),
        ("identity", TEXT),
        (" GZIP ", gzip.compress(TEXT)),
        ("x-gzip", gzip.compress(TEXT)),
        ("deflate", zlib.compress(TEXT)),
        ("gzip", gzip.compress(TEXT[:50]) + gzip.compress(b"") + gzip.compress(TEXT[50:])),
        ("gzip", gzip.compress(TEXT) + b"\0" * 100),
        ("br", brotli.compress(TEXT)),
        ("zstd", zstandard.compress(TEXT)),
        ("ZSTD", zstandard.compress(TEXT[:50]) + zstandard.compress(TEXT[50:])),
    ],
    ids=[
        *("none", "identity", "gzip", "x-gzip", "deflate", "members in a row", "padding"),
        *("br", "zstd", "frames in a row"),
    ],
)
@pytest.mark.parametrize("size", [1, 7, 1_000_000])
def test_a_body_is_inflated_however_it_arrives(coding: str, body: bytes, size: int) -> None:
    assert inflated(coding, body, size) == TEXT


def test_what_is_compressed_is_taken_in_short_pieces() -> None:
    chunk = bytes(range(256)) * 256
    pieces = list(Inflate("gzip").slices(chunk))
    assert b"".join(pieces) == chunk
    assert {len(piece) for piece in pieces} == {SLICE}
    assert list(Inflate("identity").slices(chunk)) == [chunk]
    assert list(Inflate("").slices(b"")) == []


def test_what_is_flushed_comes_at_once_however_long_it_is() -> None:
    packer = brotli.Compressor()
    long = TEXT * 100
    inflate = Inflate("br")
    assert inflate.feed(packer.process(long) + packer.flush()) == long
    assert inflate.feed(packer.process(TEXT) + packer.flush()) == TEXT


def test_a_truncated_body_gives_what_came() -> None:
    assert TEXT.startswith(inflated("gzip", gzip.compress(TEXT)[:-20]))


@pytest.mark.parametrize("coding", ["bz2", "zip", "base64", "gzip, gzip", "gzip;q=1", "x" * 10_000])
def test_any_other_coding_is_refused_by_name(coding: str) -> None:
    assert not is_known(coding)
    with pytest.raises(Unreadable, match=f"with '{coding[:40]}', which it was asked not to"):
        Inflate(coding)


@pytest.mark.parametrize(
    "body",
    [
        b"plain text",
        gzip.compress(TEXT)[:30] + b"\xff" * 300,
        gzip.compress(TEXT)[:-6] + b"\0" * 6,
        b"\x1f\x8b\xff" + b"\0" * 20,
    ],
    ids=["not compressed", "damaged", "wrong checksum", "unknown method"],
)
def test_a_damaged_body_is_refused(body: bytes) -> None:
    with pytest.raises(Unreadable, match="damaged"):
        inflated("gzip", body)


COMPRESS = {
    "br": brotli.compress,
    "deflate": zlib.compress,
    "gzip": gzip.compress,
    "zstd": zstandard.compress,
}


@pytest.mark.parametrize("coding", COMPRESS)
def test_a_bomb_is_defused(coding: str) -> None:
    bomb = COMPRESS[coding](b"\n" * (1 << 27))
    with pytest.raises(TooLarge):
        inflated(coding, bomb, 65_536)


@pytest.mark.parametrize("coding", COMPRESS)
def test_a_body_grows_to_what_its_reader_takes(coding: str) -> None:
    body = COMPRESS[coding](TEXT)
    assert Inflate(coding).feed(body, len(TEXT)) == TEXT
    with pytest.raises(TooLarge):
        Inflate(coding).feed(body, len(TEXT) - 1)


@pytest.mark.parametrize("coding", COMPRESS)
def test_what_is_not_compressed_is_damaged(coding: str) -> None:
    with pytest.raises(Unreadable, match="damaged"):
        Inflate(coding).feed(b'{"model":"m","messages":[]}')


def test_a_frame_that_asks_for_much_memory_is_refused() -> None:
    parameters = zstandard.ZstdCompressionParameters(window_log=27)
    packer = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    with pytest.raises(Unreadable, match="damaged"):
        Inflate("zstd").feed(packer.compress(TEXT * 1000) + packer.flush())


def test_a_bomb_in_many_members_is_defused() -> None:
    bomb = gzip.compress(b"\n" * FREE_BYTES) * 60
    assert len(bomb) < FREE_BYTES
    with pytest.raises(TooLarge):
        inflated("gzip", bomb, 65_536)


def test_a_small_chunk_may_grow_by_much() -> None:
    blanks = b" " * FREE_BYTES
    assert len(gzip.compress(blanks)) * MAX_RATIO < FREE_BYTES
    assert inflated("gzip", gzip.compress(blanks)) == blanks


def test_no_chunk_grows_beyond_the_last_bound() -> None:
    bomb = gzip.compress(b"\n" * (MAX_BYTES + 1)) + gzip.compress(bytes(range(256)) * 4096, 0)
    assert len(bomb) * MAX_RATIO > MAX_BYTES
    with pytest.raises(TooLarge):
        inflated("gzip", bomb, len(bomb))
