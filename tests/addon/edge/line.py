"""One client's connection to a real gateway without sockets: mitmproxy's layers, driven event
by event.
"""

import asyncio
import json
from collections import deque
from collections.abc import Callable

from mitmproxy import connection
from mitmproxy.proxy import commands, context, events, mode_specs

from addon.edge.gateway import Gateway
from addon.edge.http_layer import GatewayHttpLayer
from addon.edge.stream import CutOff, GatewayStream
from addon.edge.waiting import WaitForStoreHook

CONFIG = """
[[upstreams]]
name = "first"
base_url = "http://first.test"
api_keys = ["key-one", "key-two"]
timeouts = { first_byte = 30, idle = 40, total = 500 }

[[upstreams]]
name = "second"
base_url = "http://second.test"
api_keys = ["key-three"]
"""
SSE = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
END = b"0\r\n\r\n"


class Clock:
    def __init__(self) -> None:
        self.seconds = 1000.0

    def monotonic(self) -> float:
        return self.seconds

    def now_ms(self) -> int:
        return int(self.seconds * 1000)


class Line:
    """One client's connection: what is sent on it, and on the upstream connections that it
    leads to.
    """

    def __init__(
        self, gateway: Gateway, clock: Clock, options: object, *, holds: bool = False
    ) -> None:
        self.clock = clock
        self._gateway = gateway
        self._held: deque[Callable[[], None]] | None = deque() if holds else None
        """Connections made and closed and hooks, whose outcome `release` lets be known; at
        once if None.
        """

        self.client = connection.Client(
            peername=("192.0.2.7", 40000),
            sockname=("127.0.0.1", 8787),
            timestamp_start=0,
            state=connection.ConnectionState.OPEN,
        )
        self.client.proxy_mode = mode_specs.ProxyMode.parse("reverse:http://127.0.0.1:9")
        self.sent: dict[connection.Connection, bytearray] = {self.client: bytearray()}
        self.upstreams: list[connection.Server] = []
        self.refusing: set[str] = set()
        self._timers: list[tuple[float, commands.RequestWakeup]] = []
        """With the times at which they run out."""

        self.wakeups = 0
        """How many were asked for."""

        self._events: deque[events.Event] = deque()
        connected = context.Context(self.client, options)  # type: ignore[arg-type]
        connected.server.address = ("127.0.0.1", 9)
        self._layer = GatewayHttpLayer(connected, gateway)
        self.stream: GatewayStream | None = None
        """The first request's, when it has ended too."""

        self._feed(events.Start())

    @property
    def requests(self) -> int:
        """How many requests are being answered."""
        return len(self._layer.streams)

    @property
    def answer(self) -> bytes:
        return bytes(self.sent[self.client])

    @property
    def upstream(self) -> connection.Server:
        return self.upstreams[-1]

    def says(self, data: bytes) -> None:
        # What an earlier request left to be written would make this one wait for the database.
        if self._held is None:
            self._gateway._node.engine.flush()
        self._feed(events.DataReceived(self.client, data))

    def upstream_says(self, data: bytes, upstream: connection.Server | None = None) -> None:
        self._feed(events.DataReceived(upstream or self.upstream, data))

    def upstream_says_at_once(self, *pieces: bytes) -> None:
        """What it has sent before the gateway gets to anything else."""
        self._events += [events.DataReceived(self.upstream, piece) for piece in pieces]
        self._drain()

    def closes(self, which: connection.Connection) -> None:
        which.state = connection.ConnectionState.CLOSED
        self._feed(events.ConnectionClosed(which))

    def cut(self) -> None:
        """Have the gateway end all that it is answering."""
        self._feed(CutOff())

    def give(self, event: events.Event) -> None:
        """Give an event to the stream of the first request."""
        assert self.stream
        try:
            for command in self._layer.event_to_child(self.stream, event):
                self._do(command)
        except RuntimeError:
            for command in self._layer.break_off(event):
                self._do(command)
        self._drain()

    def release(self) -> bool:
        """Let the outcome of what is held be known; whether anything was."""
        if not self._held:
            return False
        self._held.popleft()()
        return True

    def pass_seconds(self, seconds: int) -> None:
        for _ in range(seconds):
            self.pass_time(1)

    def pass_time(self, seconds: float) -> None:
        """Let so much time pass at once, and then the timers run out that are due; those of
        less than a second are for `fire`.
        """
        self.clock.seconds += seconds
        due = [timer for timer in self._timers if timer[0] <= self.clock.seconds]
        self._feed_all([timer for timer in due if timer[1].delay >= 1])

    def fire(self, delay: float) -> None:
        """Let the timers with this delay run out."""
        self._feed_all([timer for timer in self._timers if timer[1].delay == delay])

    def fire_within(self, delay: float) -> None:
        """Let the timers with at most this delay run out."""
        self._feed_all([timer for timer in self._timers if timer[1].delay <= delay])

    def _feed_all(self, due: list[tuple[float, commands.RequestWakeup]]) -> None:
        for event in self._taken(due):
            self._feed(event)

    def _taken(self, due: list[tuple[float, commands.RequestWakeup]]) -> list[events.Wakeup]:
        self._timers = [timer for timer in self._timers if timer not in due]
        return [events.Wakeup(timer) for _, timer in due]

    def _feed(self, event: events.Event) -> None:
        self._events.append(event)
        self._drain()

    def _drain(self) -> None:
        while self._events:
            for command in self._layer.handle_event(self._events.popleft()):
                self.stream = self._layer.streams.get(1, self.stream)
                self._do(command)
            self.stream = self._layer.streams.get(1, self.stream)
            if not self._events and self._held is None:
                self._events += self._taken(
                    [timer for timer in self._timers if timer[1].delay == 0]
                )

    def _do(self, command: commands.Command) -> None:
        match command:
            case commands.SendData():
                self.sent[command.connection] += command.data
            case commands.OpenConnection() if self._held is not None:
                self._held.append(lambda: self._open(command))
            case commands.OpenConnection():
                self._open(command)
            case WaitForStoreHook() if self._held is not None:
                self._held.append(lambda: self._feed(_awaited(command)))
            case WaitForStoreHook():
                self._events.append(_awaited(command))
            case commands.StartHook() if self._held is not None:
                self._held.append(lambda: self._hear(command))
            case commands.RequestWakeup():
                self.wakeups += 1
                self._timers.append((self.clock.seconds + command.delay, command))
            case commands.CloseConnection() if (
                command.connection.state is not connection.ConnectionState.CLOSED
            ):
                command.connection.state = connection.ConnectionState.CLOSED
                closed = events.ConnectionClosed(command.connection)
                if self._held is not None:
                    self._held.append(lambda: self._feed(closed))
                else:
                    self._events.append(closed)
            case commands.StartHook():
                raise AssertionError(f"{command.name} should have been heard inside")

    def _hear(self, command: commands.StartHook) -> None:
        self._gateway.hear(command)
        self._feed(events.HookCompleted(command, None))

    def _open(self, command: commands.OpenConnection) -> None:
        server = command.connection
        self.upstreams.append(server)
        self.sent[server] = bytearray()
        assert server.address
        if server.address[0] in self.refusing:
            server.error = "Connect call failed"
            self._events.append(events.OpenConnectionCompleted(command, server.error))
        else:
            server.state = connection.ConnectionState.OPEN
            self._events.append(events.OpenConnectionCompleted(command, None))
        if self._held is not None:
            self._drain()


def _awaited(command: WaitForStoreHook) -> events.HookCompleted:
    asyncio.run(command.awaited)
    return events.HookCompleted(command, None)


def request(key: str, *, stream: bool = True, extra: str = "") -> bytes:
    body = json.dumps(
        {"model": "m", "stream": stream, "messages": [{"role": "user", "content": "hi"}]}
    ).encode()
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\n{extra}"
    )
    return f"{head}content-length: {len(body)}\r\n\r\n".encode() + body


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def event(finish: str | None = None, **delta: object) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return chunk(b"data: " + json.dumps({"model": "m", "choices": [choice]}).encode() + b"\n\n")


def refusal(status: int) -> bytes:
    return b"HTTP/1.1 %d No\r\ncontent-length: 2\r\n\r\n{}" % status
