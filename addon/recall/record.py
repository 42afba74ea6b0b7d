"""A remembered turn, and the bytes that the table keeps of it; pure.

The first byte names the encoding. A new one gets a byte of its own, and each stays readable
for ever, as rows are never written anew:

`{`   a JSON object, of turns with a lone surrogate and those of the first version
1     MessagePack, an array of the members of `_Packed`
2     the same, compressed by Zstandard with the dictionary 1 (RFC 8878)
"""

from pathlib import Path

import msgspec
import zstandard
from msgspec.structs import asdict

from addon.formats.neutral.turn import Reasoning
from addon.formats.wire.splice import scalar_text, value

__all__ = ("Record", "Thought", "decode", "encode")

_PLAIN, _COMPRESSED = b"\x01", b"\x02"
_DICTIONARY = zstandard.ZstdCompressionDict(
    Path(__file__).with_name("record_dictionary_1.zstd").read_bytes()
)
"""Never changed, or all rows with it are lost. Trained on reasoning about code in English and
Chinese, with the names of common tools: without it a turn of 600 bytes takes a quarter more.
"""

_LEVEL = 5
"""A turn takes 10 µs. The next level saves 1 % and takes twice as long."""

_DICTIONARY.precompute_compress(level=_LEVEL)
_COMPRESSOR = zstandard.ZstdCompressor(
    level=_LEVEL, dict_data=_DICTIONARY, write_dict_id=False, write_checksum=False
)
_DECOMPRESSOR = zstandard.ZstdDecompressor(dict_data=_DICTIONARY)


class Thought(msgspec.Struct, frozen=True):
    """A piece of reasoning with opaque state, and its place in the turn."""

    at: int
    """How many other parts of the turn stand before it."""

    reasoning: Reasoning


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One assistant turn as the upstream gave it."""

    token: str
    reasoning: str | None
    """None: the upstream gave none; an empty string is what it gave."""

    field: str = ""
    """The name under which the reasoning came."""

    text: str = ""
    """The visible text, as sent to the client."""

    ids: tuple[str, ...] = ()
    """The upstream's own tool-call ids, in the order of the calls."""

    names: tuple[str, ...] = ()
    """The called tools' names."""

    parent: str | None = None
    """The turn before this one in its conversation; None: not known, empty: none."""

    after: str = ""
    """The turn of the last minted tool-call id before it, or empty."""

    since: str = ""
    """The turn of the last minted id before the user's words that it answers, or empty."""

    words: str = ""
    """`brief` of the user's words that it answers; of these four, turns made before they were
    kept have none.
    """

    lines: str = ""
    """`Words.lines` of them."""

    context: str = ""
    """`brief` of the context of these words."""

    root: str = ""
    """The beginning of the token of its conversation's first known turn."""

    made_at: int = 0
    """Epoch milliseconds."""

    complete: bool = True
    """False: the answer was stopped or cut."""

    thoughts: tuple[Thought, ...] = ()
    """The pieces of reasoning that carry state; empty for upstreams whose reasoning is text."""

    origin: str = ""
    """The upstream's account that made the state."""

    disowned: bool = False
    """The upstream has refused its state: that is never sent again."""

    @property
    def size(self) -> int:
        """Bytes of all that may be put back of it."""
        size = _utf8_size(self.text) + _utf8_size(self.reasoning or "")
        for thought in self.thoughts:
            size += _utf8_size(thought.reasoning.text) + _utf8_size(thought.reasoning.opaque)
        return size

    @property
    def is_refused(self) -> bool:
        """Whether the upstream has refused all of it: its reasoning counts as unknown."""
        return self.disowned and self.reasoning is None and not self.thoughts


def _utf8_size(text: str) -> int:
    """Bytes of the text, which is seldom in another alphabet."""
    if text.isascii():
        return len(text)
    return len(text.encode("utf-8", "surrogatepass"))


class _Packed(msgspec.Struct, frozen=True, array_like=True):
    """A record without its token, as an array: a new member stands at the end and has a
    default, none is taken out.
    """

    reasoning: str | None
    field: str
    text: str
    ids: tuple[str, ...]
    names: tuple[str, ...]
    parent: str | bool | None
    """True: the same as `after`."""

    after: str
    since: str
    made_at: int
    complete: bool
    thoughts: tuple[Thought, ...]
    origin: str
    disowned: bool
    words: str = ""
    lines: str = ""
    context: str = ""
    root: str = ""


_PACKED = msgspec.msgpack.Decoder(_Packed)
_RECORD = msgspec.json.Decoder(Record)


def encode(record: Record) -> tuple[bytes, int]:
    """The record's bytes, and their number before compression, which grows with the turn."""
    try:
        packed = msgspec.msgpack.encode(_packed(record))
    except UnicodeEncodeError:  # a lone surrogate
        body = scalar_text(msgspec.to_builtins(record))
        return body, len(body)
    compressed = _COMPRESSOR.compress(packed)
    if len(compressed) < len(packed):
        return _COMPRESSED + compressed, len(packed)
    return _PLAIN + packed, len(packed)


def decode(token: str, body: bytes) -> Record:
    """The record of the turn with this token from the bytes that `encode` gave, in this
    version or an earlier one. Raises ValueError for others.
    """
    kind, rest = body[:1], body[1:]
    match kind:
        case b"{":
            return _decode_json(body)
        case b"\x01":
            return _unpacked(token, rest)
        case b"\x02":
            return _unpacked(token, _DECOMPRESSOR.decompress(rest))
    raise ValueError(f"a remembered turn has the unknown encoding {kind!r}")


def _decode_json(body: bytes) -> Record:
    try:
        return _RECORD.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return msgspec.convert(value(body), Record)  # it holds a lone surrogate


def _packed(record: Record) -> _Packed:
    members = asdict(record)
    del members["token"]
    if record.parent and record.parent == record.after:
        members["parent"] = True
    return _Packed(**members)


def _unpacked(token: str, content: bytes) -> Record:
    members = asdict(_PACKED.decode(content))
    if members["parent"] is True:
        members["parent"] = members["after"]
    return Record(token=token, **members)
