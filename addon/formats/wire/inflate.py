"""Compressed bodies, inflated within bounds (RFC 9110 §8.4.1): gzip, deflate, br and zstd."""

import zlib
from collections.abc import Callable, Iterator
from typing import Protocol

import brotli
import zstandard

__all__ = ("MAX_BYTES", "Inflate", "TooLarge", "Unreadable", "is_known")

MAX_RATIO = 200
"""How many times its size a chunk may grow to; text compresses 3 to 30 times."""

FREE_BYTES = 1024 * 1024
"""Bytes that any chunk may grow to."""

MAX_BYTES = 64 * 1024 * 1024
"""Bytes that no chunk may grow to."""

SLICE = 8 * 1024
"""Bytes of what is compressed that are inflated at a time where others are to go on."""

_GZIP = b"\x1f"
"""First byte of a gzip member (RFC 1952 §2.3.1)."""

_MAX_WINDOW = 8 * 1024 * 1024
"""Bytes of memory that a zstd frame may ask for (RFC 8878 §3.1.1.1.2 recommends it)."""

_ZSTD_SLICE = 256
"""Bytes of zstd that are inflated at a time: its library has no bound, but a block of 4 bytes
grows to 128 KiB at most.
"""


class Unreadable(ValueError):
    """The body is not what its Content-Encoding says, or uses a coding we don't read."""


class TooLarge(Unreadable):
    """A chunk grows beyond the bounds."""


class _Decoder(Protocol):
    """Undoes one coding."""

    def feed(self, chunk: bytes, most: int) -> bytes:
        """What the chunk adds, up to a little more than `most` bytes."""


class _Zlib:
    """gzip and deflate."""

    def __init__(self) -> None:
        self._inflater = _inflater()

    def feed(self, chunk: bytes, most: int) -> bytes:
        inflated = bytearray()
        while chunk and len(inflated) <= most:
            if self._inflater.eof:
                if not chunk.startswith(_GZIP):
                    break  # padding
                self._inflater = _inflater()  # members may follow each other (RFC 1952 §2.2)
            inflated += self._inflater.decompress(chunk, most - len(inflated) + 1)
            chunk = self._inflater.unused_data
        return bytes(inflated)


class _Brotli:
    def __init__(self) -> None:
        self._decompressor = brotli.Decompressor()

    def feed(self, chunk: bytes, most: int) -> bytes:
        inflated, piece = bytearray(), chunk
        while piece and len(inflated) <= most and not self._decompressor.is_finished():
            # It gives 32 KiB at a time, and the next without being given more.
            left = most - len(inflated) + 1
            piece = self._decompressor.process(chunk, output_buffer_limit=left)
            inflated += piece
            chunk = b""
        return bytes(inflated)


class _Zstd:
    def __init__(self) -> None:
        self._inflater = _zstd_inflater()

    def feed(self, chunk: bytes, most: int) -> bytes:
        inflated, at = bytearray(), 0
        while at < len(chunk) and len(inflated) <= most:
            if self._inflater.eof:  # frames may follow each other (RFC 8878 §3.1)
                self._inflater = _zstd_inflater()
            piece = chunk[at : at + _ZSTD_SLICE]
            inflated += self._inflater.decompress(piece)
            at += len(piece) - len(self._inflater.unused_data)
        return bytes(inflated)


_DECODERS: dict[str, Callable[[], _Decoder] | None] = {
    "": None,
    "br": _Brotli,
    "deflate": _Zlib,
    "gzip": _Zlib,
    "identity": None,
    "x-gzip": _Zlib,
    "zstd": _Zstd,
}


def is_known(content_encoding: str) -> bool:
    """Whether `Inflate` reads it."""
    return content_encoding.strip().lower() in _DECODERS


class Inflate:
    """Undoes one Content-Encoding chunk by chunk."""

    def __init__(self, content_encoding: str) -> None:
        """Raises Unreadable for any other coding."""
        coding = content_encoding.strip().lower()
        if coding not in _DECODERS:
            raise Unreadable(
                f"the upstream compressed its answer with '{coding[:40]}', which it "
                "was asked not to"
            )
        decoder = _DECODERS[coding]
        self._decoder = decoder() if decoder else None

    @property
    def is_identity(self) -> bool:
        """Whether there is nothing to undo."""
        return self._decoder is None

    def slices(self, chunk: bytes) -> Iterator[bytes]:
        """The chunk in pieces, each of which is inflated within a few milliseconds."""
        size = SLICE if self._decoder else len(chunk)
        for at in range(0, len(chunk), size or 1):
            yield chunk[at : at + size]

    def feed(self, chunk: bytes, most: int = MAX_BYTES) -> bytes:
        """The inflated bytes. Raises Unreadable; TooLarge when they are more than `most`, or
        beyond all measure.
        """
        if self._decoder is None:
            return chunk
        limit = min(max(FREE_BYTES, MAX_RATIO * len(chunk)), most)
        try:
            inflated = self._decoder.feed(chunk, limit)
        except (zlib.error, brotli.error, zstandard.ZstdError) as error:
            raise Unreadable("the upstream's compressed answer is damaged") from error
        if len(inflated) > limit:
            raise TooLarge("the upstream's compressed answer grows beyond all measure")
        return inflated


def _inflater() -> "zlib._Decompress":
    # 32 lets zlib tell gzip and zlib apart by their headers.
    return zlib.decompressobj(zlib.MAX_WBITS | 32)


def _zstd_inflater() -> "zstandard.ZstdDecompressionObj":
    return zstandard.ZstdDecompressor(max_window_size=_MAX_WINDOW).decompressobj()
