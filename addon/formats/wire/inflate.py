"""Bodies that an upstream compressed although it was asked not to, inflated within bounds."""

import zlib

__all__ = ("Inflate", "TooLarge", "Unreadable")

MAX_RATIO = 200
"""How many times its size a chunk may grow to; text compresses 3 to 30 times."""

FREE_BYTES = 1024 * 1024
"""Bytes that any chunk may grow to."""

MAX_BYTES = 64 * 1024 * 1024
"""Bytes that no chunk may grow to."""

_GZIP = b"\x1f"
"""First byte of a gzip member (RFC 1952 §2.3.1)."""


class Unreadable(ValueError):
    """The body is not what its Content-Encoding says, or uses a coding we don't read."""


class TooLarge(Unreadable):
    """A chunk grows beyond the bounds."""


class Inflate:
    """Undoes one Content-Encoding (RFC 9110 §8.4.1) chunk by chunk: identity, gzip or deflate."""

    def __init__(self, content_encoding: str) -> None:
        """Raises Unreadable for any other coding."""
        coding = content_encoding.strip().lower()
        if coding not in ("", "identity", "gzip", "x-gzip", "deflate"):
            raise Unreadable(
                f"the upstream compressed its answer with '{coding[:40]}', which it "
                "was asked not to"
            )
        self._inflater = None
        if coding not in ("", "identity"):
            self._inflater = _inflater()

    def feed(self, chunk: bytes) -> bytes:
        """The inflated bytes. Raises Unreadable."""
        if self._inflater is None:
            return chunk
        limit = min(max(FREE_BYTES, MAX_RATIO * len(chunk)), MAX_BYTES)
        inflated = bytearray()
        while chunk:
            if self._inflater.eof:
                if not chunk.startswith(_GZIP):
                    break  # padding
                self._inflater = _inflater()  # members may follow each other (RFC 1952 §2.2)
            try:
                inflated += self._inflater.decompress(chunk, limit - len(inflated) + 1)
            except zlib.error as error:
                raise Unreadable("the upstream's compressed answer is damaged") from error
            if len(inflated) > limit:
                raise TooLarge("the upstream's compressed answer grows beyond all measure")
            chunk = self._inflater.unused_data
        return bytes(inflated)


def _inflater() -> "zlib._Decompress":
    # 32 lets zlib tell gzip and zlib apart by their headers.
    return zlib.decompressobj(zlib.MAX_WBITS | 32)
