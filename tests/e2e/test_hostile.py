"""Attackers and hostile upstreams on raw sockets: every request is answered or cut, and the
gateway goes on.
"""

import gzip
import json
import random
import signal
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from tests.support.gateway import Gateway, eventually, upstream_environment

PATH = "/v1/chat/completions"
HEALTH = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n"
EVENT = b'data: {"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":null}]}\n\n'
FINISH = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
WHOLE = b'{"id":"x","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}]}'
STREAM = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
MEGABYTE = b"x" * 1_000_000
AT_ONCE = 8
LEAVERS = 250
FLOODS = 8


def chunk(piece: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(piece), piece)


def sized(body: bytes, headers: bytes = b"", status: bytes = b"200 OK") -> bytes:
    return b"HTTP/1.1 %b\r\n%bcontent-length: %d\r\n\r\n%b" % (status, headers, len(body), body)


GOOD_STREAM = STREAM + chunk(EVENT) + chunk(FINISH) + b"0\r\n\r\n"


class HostileUpstream:
    """Says what the test wants, byte for byte, to every request: `answer` is written piece
    by piece.
    """

    def __init__(self) -> None:
        self.answer: Callable[[], Iterator[bytes]] = lambda: iter([sized(WHOLE)])
        self.requests: list[bytes] = []
        self.answering = 0
        """Connections on which a request is being answered."""

        self._socket = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.base_url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def stop(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                threading.Thread(
                    target=self._talk, args=self._socket.accept()[:1], daemon=True
                ).start()

    def _talk(self, peer: socket.socket) -> None:
        with suppress(OSError), peer:
            while request := _read_request(peer):
                self.requests.append(request)
                self._answer(peer)

    def _answer(self, peer: socket.socket) -> None:
        self.answering += 1
        try:
            for piece in self.answer():
                peer.sendall(piece)
        finally:
            self.answering -= 1


def _read_request(peer: socket.socket) -> bytes:
    """Head and body; empty when the peer leaves before all of it."""
    received = b""
    while b"\r\n\r\n" not in received:
        if not (more := peer.recv(65536)):
            return b""
        received += more
    head, _, body = received.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0)
    while len(body) < length:
        if not (more := peer.recv(65536)):
            return b""
        body += more
    return head + body


class Attacker:
    """Raw connections to the gateway, with its user's key at hand."""

    def __init__(self, gateway: Gateway, upstream: HostileUpstream) -> None:
        self.gateway, self.upstream = gateway, upstream
        self.key = gateway.new_user("ada").encode()

    def head(self, *extra: bytes, method: bytes = b"POST", path: bytes = PATH.encode()) -> bytes:
        lines = [
            b"%b %b HTTP/1.1" % (method, path),
            b"host: x",
            b"authorization: Bearer " + self.key,
            *extra,
        ]
        return b"\r\n".join(lines) + b"\r\n"

    def request(self, *extra: bytes, stream: bool = False, says: str = "hi") -> bytes:
        body = json.dumps(
            {"model": "m", "stream": stream, "messages": [{"role": "user", "content": says}]}
        ).encode()
        return self.head(*extra, b"content-length: %d" % len(body)) + b"\r\n" + body

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.gateway.port), timeout=20)

    def ask(self, raw: bytes, *, until: bytes = b"\r\n\r\n") -> bytes:
        """What comes back until the connection ends, an answer is whole or `until` was
        seen; fails after 20 s.
        """
        received = b""
        with self.connect() as line, suppress(ConnectionError):
            line.sendall(raw)
            while (until not in received or not _is_whole(received)) and (more := line.recv(65536)):
                received += more
        return received

    def lines(self) -> int:
        """Log lines of chat requests."""
        return self.gateway.log.count(f" POST {PATH} ")

    def is_well(self) -> bool:
        log = self.gateway.log
        return (
            self.ask(HEALTH).startswith(b"HTTP/1.1 200")
            and "Traceback" not in log
            and "crashed" not in log
        )


def _is_whole(answer: bytes) -> bool:
    head, _, body = answer.rpartition(b"HTTP/1.1 ")[2].partition(b"\r\n\r\n")
    if b"transfer-encoding: chunked" in head:
        return body.endswith(b"0\r\n\r\n")
    return len(body) >= int(
        head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0
    )


@pytest.fixture(scope="module", params=[(), ("--web",)], ids=["mitmdump", "mitmweb"])
def anywhere(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Attacker]:
    """The gateway as it is served and as it is watched."""
    if not request.param:
        yield request.getfixturevalue("attacker")
    else:
        yield from attack(tmp_path_factory.mktemp("hostile"), request.param)


@pytest.fixture(scope="module")
def attacker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attacker]:
    yield from attack(tmp_path_factory.mktemp("hostile"), ())


def attack(directory: Path, arguments: tuple[str, ...]) -> Iterator[Attacker]:
    upstream = HostileUpstream()
    if arguments:
        mitm = Path(__file__).parents[2].joinpath("mitm.toml").read_text("utf-8")
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        directory.joinpath("mitm.toml").write_text(
            mitm.replace("web_port = 8081", f"web_port = {port}"), "utf-8"
        )
    with Gateway(
        directory, upstream_environment(upstream.base_url), arguments=arguments
    ) as gateway:
        yield Attacker(gateway, upstream)
    upstream.stop()


def malformed(attacker: Attacker) -> Iterator[bytes]:
    """Requests that must not reach the upstream, generated from a fixed seed."""
    rng, head, good = random.Random(7), attacker.head, attacker.request()
    anonymous = good.replace(attacker.key, b"sk-nobody")
    framings = [
        [b"content-length: 5", b"transfer-encoding: chunked"],
        [b"content-length: 5", b"content-length: 6"],
        [b"content-length: -1"],
        [b"content-length: " + b"9" * 5000],
        [b"content-length: 5, 5"],
        [b"transfer-encoding: chunked, chunked"],
        [b"transfer-encoding: \x0bchunked", b"content-length: 3"],
    ]
    yield from (head(*framing) + b"\r\n0\r\n\r\n" for framing in framings)
    yield from (
        head(b"transfer-encoding: chunked") + b"\r\n" + bad
        for bad in (b"zz\r\n", b"-1\r\n", b"3\r\nabcX\r\n")
    )
    for byte in (*range(9), *range(11, 13), *range(14, 32), 127):
        yield attacker.request(b"user-agent: a%bb" % bytes([byte]))
        yield attacker.request(b"x%by: a" % bytes([byte]))
        yield good.replace(b"/chat", b"/ch%bat" % bytes([byte]))
        yield good.replace(b"POST", b"PO%bST" % bytes([byte]))
    yield from (
        attacker.request(header)
        for header in (b"a: 1\r\n 2", b"user-agent: a\rx: y", b"no colon", b"a b: c")
    )
    for method in (b"HEAD", b"PUT", b"DELETE", b"TRACE", b"CONNECT", b"connect", b"GET", b"PATCH"):
        yield head(method=method) + b"\r\n"
    for path in (
        b"//v1/chat/completions",
        b"/v1/../v1/chat/completions",
        b"/v1%2fchat",
        b"/v1/chat/completions;x",
    ):
        yield head(b"content-length: 0", path=path) + b"\r\n"
    for path in (b"http://evil.test/v1/chat/completions", b"*", b"x:1", b"127.0.0.1:22"):
        yield head(b"content-length: 0", path=path) + b"\r\n"
    yield head(*[b"h%d: " % number for number in range(6000)]) + b"\r\n"
    yield head(b"x: " + b"y" * 200_000) + b"\r\n"
    yield head(b"transfer-encoding: chunked") + b"\r\n5;" + b"a" * 200_000
    yield bytes.fromhex("1603010200010001fc0303") + rng.randbytes(500)
    yield b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9)
    yield good.replace(b"HTTP/1.1", b"HTTP/9.9", 1)
    yield HEALTH * 5000
    yield from (
        attacker.request(b"expect: 100-continue").replace(attacker.key, b"sk-nobody")
        for _ in range(5)
    )
    yield from (anonymous[:at] for at in range(110, len(anonymous), 9))
    for _ in range(100):
        at = rng.randrange(len(anonymous))
        yield (
            anonymous[:at] + rng.randbytes(rng.randrange(1, 9)) + anonymous[at + rng.randrange(9) :]
        )


def is_answered_or_cut(attacker: Attacker, raw: bytes) -> bool:
    """Within 8 s, before the time for a head is up; the sender half-closes, since many of the requests are incomplete."""
    with attacker.connect() as line:
        line.settimeout(8)
        try:
            line.sendall(raw)
            if b"HTTP/1.1" in raw and len(raw) < 2000:
                line.shutdown(socket.SHUT_WR)
            return line.recv(1) in (b"", b"H")
        except TimeoutError:
            return False
        except OSError:
            return True


def test_malformed_requests_are_answered_or_cut_and_reach_nobody(attacker: Attacker) -> None:
    data_plane = attacker.gateway.data_plane()
    attacker.upstream.requests.clear()
    base = data_plane.num_fds()
    corpus = list(malformed(attacker))
    with ThreadPoolExecutor(8) as pool:
        fine = list(pool.map(lambda raw: is_answered_or_cut(attacker, raw), corpus))
    assert [raw for raw, good in zip(corpus, fine, strict=True) if not good] == []
    assert attacker.upstream.requests == []
    assert attacker.is_well()
    assert eventually(lambda: data_plane.num_fds() <= base + 3)


def test_floods_of_requests_are_cut_and_leave_no_socket(attacker: Attacker) -> None:
    data_plane = attacker.gateway.data_plane()
    base = data_plane.num_fds()
    answered = [attacker.ask(HEALTH * 5000, until=b"never").count(b"HTTP/1.1") for _ in range(10)]
    assert max(answered) < 5000
    assert eventually(lambda: data_plane.num_fds() <= base)
    assert attacker.is_well()


def test_requests_sent_ahead_are_answered_in_their_order(anywhere: Attacker) -> None:
    counter = iter(range(9))
    anywhere.upstream.answer = lambda: iter(
        [sized(WHOLE, b"x-request-id: r%d\r\n" % next(counter))]
    )
    seen = anywhere.ask(anywhere.request() * 5, until=b"x-request-id: r4")
    assert [seen.index(b"x-request-id: r%d" % number) for number in range(5)] == sorted(
        seen.index(b"x-request-id: r%d" % number) for number in range(5)
    )
    assert anywhere.is_well()


HOSTILE: dict[str, tuple[bool, Callable[[], Iterator[bytes]]]] = {
    "endless header": (
        True,
        lambda: (piece for piece in [b"HTTP/1.1 200 OK\r\nx: ", *[MEGABYTE] * 200]),
    ),
    "endless headers": (
        True,
        lambda: (p for p in [b"HTTP/1.1 200 OK\r\n", *[b"x: yyyy\r\n" * 100_000] * 200]),
    ),
    "endless event": (True, lambda: (piece for piece in [STREAM, *[chunk(MEGABYTE)] * 200])),
    "endless chunk header": (True, lambda: (piece for piece in [STREAM, *[MEGABYTE] * 200])),
    "endless body": (
        False,
        lambda: (piece for piece in [b"HTTP/1.1 200 OK\r\n\r\n", *[MEGABYTE] * 200]),
    ),
    "endless refusal": (
        False,
        lambda: (piece for piece in [b"HTTP/1.1 500 No\r\n\r\n", *[MEGABYTE] * 200]),
    ),
    "gzip bomb": (
        False,
        lambda: iter([sized(gzip.compress(bytes(100_000_000), 1), b"content-encoding: gzip\r\n")]),
    ),
    "switching protocols": (
        True,
        lambda: iter([b"HTTP/1.1 101 S\r\nupgrade: x\r\n\r\n" + b"raw" * 99]),
    ),
    "redirect": (
        False,
        lambda: iter([sized(b"moved", b"location: http://127.0.0.1:1/\r\n", b"302 Found")]),
    ),
    "length too short": (
        False,
        lambda: iter([b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n" + WHOLE]),
    ),
    "two lengths": (False, lambda: iter([sized(WHOLE, b"content-length: 5\r\n")])),
    "not http": (False, lambda: iter([b"SSH-2.0-OpenSSH_9.2\r\n\r\n"])),
    "impossible status": (False, lambda: iter([sized(WHOLE, status=b"20000 Big")])),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_upstream_is_a_clear_error_in_bounded_memory(
    attacker: Attacker, name: str
) -> None:
    stream, attacker.upstream.answer = HOSTILE[name]
    data_plane = attacker.gateway.data_plane()
    before = data_plane.memory_info().rss
    answer = attacker.ask(attacker.request(stream=stream))
    assert answer.startswith((b"HTTP/1.1 502", b"HTTP/1.1 500"))
    assert _is_whole(answer)
    assert data_plane.memory_info().rss - before < 150_000_000
    assert attacker.is_well()


@pytest.mark.parametrize(
    "name", ["bytes after the end", "trailers", "interim", "set-cookie", "broken headers"]
)
def test_what_an_upstream_says_beside_its_answer_stays_here(attacker: Attacker, name: str) -> None:
    answers = {
        "bytes after the end": [sized(WHOLE) + sized(b"planted")],
        "trailers": [STREAM + chunk(EVENT) + chunk(FINISH) + b"0\r\nx-planted: 1\r\n\r\n"],
        "interim": [b"HTTP/1.1 103 Early\r\nlink: planted\r\n\r\n" * 99 + sized(WHOLE)],
        "set-cookie": [
            sized(WHOLE, b"set-cookie: planted\r\nserver: planted\r\nlocation: planted\r\n")
        ],
        "broken headers": [
            sized(
                WHOLE,
                (
                    b"x-request-id: a\rplanted: b\r\nx-ratelimit-\rplanted: "
                    b"c\r\nretry-after: 1\r\n planted\r\n"
                ),
            )
        ],
    }
    attacker.upstream.answer = lambda: iter(answers[name])
    answer = attacker.ask(attacker.request(stream=name == "trailers"))
    assert answer.startswith(b"HTTP/1.1 200")
    assert b"planted" not in answer
    assert attacker.is_well()


def leave(attacker: Attacker, seed: int) -> None:
    """Send a request whose head is whole and go away at a random point."""
    rng = random.Random(seed)
    raw = attacker.request(stream=True)
    seen = b""
    with attacker.connect() as line, suppress(OSError):
        line.sendall(raw if rng.random() < 0.8 else raw[: -rng.randrange(1, 20)])
        line.settimeout(rng.choice([0.001, 0.01, 0.05]))
        with suppress(TimeoutError):
            for _ in range(rng.randrange(4)):
                seen += line.recv(rng.choice([1, 100, 65536]))
        if seen and rng.random() < 0.5:  # a reset before that could overtake the request
            line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def slow_stream() -> Iterator[bytes]:
    rng = random.Random()
    threading.Event().wait(rng.choice([0, 0, 0.01, 0.05]))
    yield STREAM
    for _ in range(rng.randrange(1, 6)):
        yield chunk(EVENT)
        threading.Event().wait(0.005)
    yield chunk(FINISH)
    yield b"0\r\n\r\n"


def test_clients_that_leave_anywhere_are_settled_exactly_once(anywhere: Attacker) -> None:
    anywhere.upstream.answer = slow_stream
    data_plane, lines = anywhere.gateway.data_plane(), anywhere.lines()
    fds = data_plane.num_fds()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(lambda seed: leave(anywhere, seed), range(LEAVERS)))
    assert eventually(
        lambda: anywhere.lines() - lines >= LEAVERS and anywhere.upstream.answering == 0, 30
    )
    assert anywhere.lines() - lines == LEAVERS
    # Connections are kept that were made for those who had left by then.
    assert eventually(lambda: data_plane.num_fds() <= fds + 3 + AT_ONCE)
    assert anywhere.is_well()


def test_a_client_that_floods_its_own_stream_is_cut_and_settled_once(anywhere: Attacker) -> None:
    anywhere.upstream.answer = lambda: (piece for piece in [STREAM, *[chunk(EVENT)] * 100_000])
    data_plane, lines = anywhere.gateway.data_plane(), anywhere.lines()
    fds = data_plane.num_fds()
    for _ in range(FLOODS):
        with anywhere.connect() as line, suppress(OSError):
            line.sendall(anywhere.request(stream=True, says="flood"))
            line.recv(10)
            line.sendall(HEALTH * 20_000)
    assert eventually(
        lambda: anywhere.lines() - lines >= FLOODS and anywhere.upstream.answering == 0, 30
    )
    assert anywhere.lines() - lines == FLOODS
    # Requests of clients that left earlier may still be coming.
    assert sum(b"flood" in request for request in anywhere.upstream.requests) == FLOODS
    assert eventually(lambda: data_plane.num_fds() <= fds + 3)
    assert anywhere.is_well()


def test_a_client_that_reads_nothing_holds_its_upstream_back(attacker: Attacker) -> None:
    fat = chunk(b'data: {"choices":[{"index":0,"delta":{"content":"%b"}}]}\n\n' % (b"y" * 100_000))
    attacker.upstream.answer = lambda: (piece for piece in [STREAM, *[fat] * 500, b"0\r\n\r\n"])
    data_plane = attacker.gateway.data_plane()
    before = data_plane.memory_info().rss
    with attacker.connect() as idle:
        idle.sendall(attacker.request(stream=True))
        assert eventually(lambda: attacker.upstream.answering == 1)
        assert not eventually(lambda: attacker.upstream.answering == 0, 2)
        assert data_plane.memory_info().rss - before < 50_000_000
        assert attacker.is_well()


@pytest.fixture
def mortal(tmp_path: Path) -> Iterator[Attacker]:
    """A gateway of the test's own."""
    yield from attack(tmp_path, ())


def test_a_data_plane_that_is_told_twice_to_end_ends_its_streams_and_another_serves(
    mortal: Attacker,
) -> None:
    mortal.upstream.answer = slow_and_long
    with ExitStack() as stack:
        for line in [stack.enter_context(mortal.connect()) for _ in range(10)]:
            line.sendall(mortal.request(stream=True))
            assert line.recv(4)
        data_plane = mortal.gateway.data_plane()
        data_plane.send_signal(signal.SIGTERM)
        assert eventually(lambda: mortal.gateway.data_plane() != data_plane)
        data_plane.send_signal(signal.SIGTERM)
        data_plane.wait(20)
    assert eventually(lambda: mortal.lines() == 10)
    assert eventually(lambda: answers(mortal), 30)


def slow_and_long() -> Iterator[bytes]:
    yield STREAM
    for _ in range(1000):
        threading.Event().wait(0.05)
        yield chunk(EVENT)


def answers(attacker: Attacker) -> bool:
    try:
        return attacker.is_well()
    except OSError:
        return False
