"""What is fuzzed: each target takes any bytes, and raises only what is a fault.

Their corpus stands beside them, in a folder of each target's name.
"""

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

from addon.admission.client import client_address, head_fault, without_hop_by_hop
from addon.formats.neutral.accumulate import Accumulator
from addon.formats.neutral.problem import RequestError
from addon.formats.neutral.request import WireFormat
from addon.formats.translate import CLIENTS, UPSTREAMS
from addon.formats.wire import sse
from addon.formats.wire.splice import MalformedJson, count, elements, members, object_text, value
from addon.formats.wire.utf8 import as_utf8

__all__ = ("CORPUS", "JSON", "TARGETS")

CORPUS = Path(__file__).with_name("corpus")

FORMATS: tuple[WireFormat, ...] = ("chat", "responses", "messages")

MOST = 1_000
"""Elements that are counted."""


def events(data: bytes) -> None:
    """The first byte says where the rest is cut: that must not change what comes out."""
    at, stream = data[:1], data[1:]
    whole, cut = sse.Events(), sse.Events()
    where = len(stream) * int.from_bytes(at) // 256
    found = [*whole.feed(stream), whole.rest()]
    pieces = [*cut.feed(stream[:where]), *cut.feed(stream[where:]), cut.rest()]
    assert b"".join(found) == b"".join(pieces)
    # A stream that ends with CR has its LF to come, which the first piece may end with as well.
    assert found[:-1] == pieces[:-1]
    for raw in found:
        sse.name_of(raw)
        sse.said_by(raw)
        if said := sse.data_of(raw):
            assert sse.data_of(sse.with_data(raw, said, b"{}")) is not None
    sse.holds_events(stream)


def json_text(data: bytes) -> None:
    """What can be taken apart can be put together again."""
    with suppress(MalformedJson):
        parts = members(data)
        assert members(object_text(parts)) == parts
    for read in (elements, value, partial(count, most=MOST)):
        with suppress(MalformedJson):
            read(data)


def head(data: bytes) -> None:
    """A head as mitmproxy has read it: method, target, version, and fields."""
    first, *lines = data.split(b"\n")
    method, target, version = ([*first.decode("latin-1").split(" ", 2), "", ""])[:3]
    fields = [(name, text) for name, _, text in (line.partition(b":") for line in lines) if name]
    head_fault(method, target, version, fields)
    kept = without_hop_by_hop(fields)
    assert set(kept) <= set(fields)
    assert without_hop_by_hop(kept) == kept
    client_address("127.0.0.1", target, ("127.0.0.1", "10.0.0.0/8", "::/8"))


def request(name: WireFormat, data: bytes) -> None:
    """A client's request: read, or refused in words."""
    with suppress(RequestError):
        CLIENTS[name].decode(data)


def answer(name: WireFormat, data: bytes) -> None:
    """An upstream's answer, as a stream and as a whole."""
    upstream = UPSTREAMS[name]
    reader, accumulator, found = upstream.reader(), Accumulator(), sse.Events()
    for raw in [*found.feed(data), found.rest() + b"\n\n"]:
        for delta in reader.read(as_utf8(raw)):
            accumulator.add(delta)
    accumulator.turns()
    upstream.read_whole(as_utf8(data))


TARGETS: dict[str, Callable[[bytes], None]] = {
    "events": events,
    "json": json_text,
    "head": head,
    **{f"{name}_request": partial(request, name) for name in FORMATS},
    **{f"{name}_answer": partial(answer, name) for name in FORMATS},
}

JSON = TARGETS.keys() - {"events", "head"}
"""Those that read JSON, which is mutated as such, too."""
