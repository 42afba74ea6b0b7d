"""What each client format costs over each upstream format, by the chunk: its translation,
and all of the gateway.
"""

import asyncio
import time
from collections import defaultdict
from pathlib import Path
from statistics import median

from addon.formats.neutral.protocols import Head, Relay
from addon.formats.neutral.request import WireFormat
from addon.formats.neutral.turn import Reasoning
from addon.formats.paths import classify
from addon.translation.pair import Answered, Identity
from addon.translation.read import read
from shared.config.schema import Upstream
from tests.bench.answers import chunked
from tests.bench.client import Client
from tests.bench.streams import FORMATS, asked, stream
from tests.bench.upstream import PACE, CannedUpstream
from tests.support.gateway import Gateway, upstream_table

__all__ = ("COMBINATIONS", "Combination", "measure_formats")

type Combination = tuple[WireFormat, WireFormat]
"""Client and upstream."""

CHUNKS = 2000
REPEATS = 20
ROUNDS = 3
STREAMS = 32
DELTAS = 100
"""Of a paced stream."""

COMBINATIONS: list[Combination] = [(client, upstream) for client in FORMATS for upstream in FORMATS]


def measure_formats(directory: Path) -> tuple[dict[Combination, float], dict[Combination, float]]:
    """Microseconds of CPU by the chunk: of relaying in process (the best repeat), and of
    the data plane (medians).
    """
    relaying: dict[Combination, float] = dict.fromkeys(COMBINATIONS, 1e9)
    events = {upstream: stream(upstream, CHUNKS) for upstream in FORMATS}
    for _ in range(REPEATS):
        for client, upstream in COMBINATIONS:
            spent = _relaying(_relay(client, upstream), events[upstream])
            relaying[client, upstream] = min(relaying[client, upstream], spent)
    return relaying, asyncio.run(_whole(directory))


def _relaying(relay: Relay, events: list[bytes]) -> float:
    began = time.process_time()
    for event in events:
        relay.feed(event)
    spent = time.process_time() - began
    assert relay.done
    return spent / CHUNKS * 1e6


def _relay(client: WireFormat, upstream: WireFormat) -> Relay:
    path, body = asked(client, "m")
    endpoint = classify(path)
    assert endpoint is not None
    served = Upstream(name="u", base_url="https://u.example", api=upstream)
    side = read(endpoint, body, lambda copy: copy, None).for_upstreams([served])
    pair = side.pair(Identity(Head("abc", 7, "m"), _mint, _seal))
    return pair.relay(Answered(upstream=upstream))


def _mint(choice: int, index: int, upstreams: str) -> str:
    return f"call_{choice}_{index}"


def _seal(reasoning: Reasoning) -> str:
    return reasoning.opaque


class FormatsUpstream(CannedUpstream):
    """Answers each path in its format, paced."""

    pause = PACE
    streams = {asked(one, "")[0].encode(): chunked(stream(one, DELTAS)) for one in FORMATS}

    def events(self, head: bytes) -> list[bytes]:
        return self.streams[head.split(b" ")[1]]


async def _whole(directory: Path) -> dict[Combination, float]:
    server = await asyncio.get_running_loop().create_server(FormatsUpstream, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    found: defaultdict[Combination, list[float]] = defaultdict(list)
    tables = [
        upstream_table(api, f"http://127.0.0.1:{port}", api=api, models=[api]) for api in FORMATS
    ]
    with Gateway(directory, config="\n".join(tables)) as gateway:
        key = gateway.new_user("bench")
        process = gateway.data_plane()
        for _ in range(ROUNDS):
            for client, upstream in COMBINATIONS:
                before = sum(process.cpu_times()[:2])
                asking = _request(client, upstream, key)
                await asyncio.gather(*(_ask(gateway.port, asking) for _ in range(STREAMS)))
                spent = sum(process.cpu_times()[:2]) - before
                found[client, upstream].append(spent / (STREAMS * DELTAS) * 1e6)
    server.close()
    await server.wait_closed()
    return {combination: median(figures) for combination, figures in found.items()}


async def _ask(port: int, message: bytes) -> None:
    client = await Client.connect(port)
    await client.ask(message)
    client.close()


def _request(client: WireFormat, upstream: WireFormat, key: str) -> bytes:
    path, body = asked(client, upstream)
    head = (
        f"POST {path} HTTP/1.1\r\nHost: bench\r\nContent-Type: "
        f"application/json\r\nAuthorization: Bearer {key}\r\n"
    )
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
