"""F11: one call after the other fails, at every call site of the hooks, of the edge and of
mitmproxy's HTTP layers below it: nothing goes out before it is admitted, every client has an
end, nothing is held for ever.
"""

import logging
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import h11
import mitmproxy
import msgspec
from mitmproxy.addons.proxyserver import Proxyserver
from mitmproxy.connection import ConnectionState, Server
from mitmproxy.test import taddons

from addon.edge import http1
from tests.addon.edge.line import Line, refusal
from tests.addon.edge.scene import Scene
from tests.harden.call_sites import Injected, Injector
from tests.harden.figure import Figure
from tests.harden.stories import STORIES, Story

__all__ = ("BELOW", "OURS", "figures", "scene_of_one", "torture")

_ROOT = Path(__file__).parents[2]
OURS = tuple(
    str(_ROOT / path)
    for path in (
        "addon/edge",
        "addon/node.py",
        "addon/ledger/meter.py",
        "addon/admission/limits.py",
    )
)
"""The edge, and what its hooks hold of a caller's limits."""

BELOW = str(Path(mitmproxy.__file__).with_name("proxy") / "layers" / "http")

LATE_SECONDS = 3
"""A client that has no end after so long waits for ever."""

RETRY_SECONDS = 0.6
"""Timers of less are those of a request that tries again soon."""


class Play:
    """One story on a line of its own."""

    def __init__(self, scene: Scene, story: Story) -> None:
        self._story = story
        self._key = scene.key
        self._engine = scene.node.engine
        self._sizes: dict[Server, int] = {}
        """What each upstream had been sent when it last answered."""

        self.asked = 0
        """How often an upstream was asked."""

        self.line = Line(scene.gateway, scene.clock, scene.options)
        self.heard = self.line.client.state is not ConnectionState.CLOSED
        """Whether the client could ask at all."""

    def run(self) -> None:
        sent = self._story.request(self._key)
        self.line.says(sent[:-1])
        self.line.says(sent[-1:])
        answers = list(self._story.answers)
        while (upstream := self._waiting()) is not None:
            self._answer(upstream, answers.pop(0) if answers else [refusal(400)])
        self._engine.flush()  # what an end may be waiting for
        self.line.fire_within(RETRY_SECONDS)
        self.line.pass_seconds(LATE_SECONDS)
        self.line.fire_within(RETRY_SECONDS)

    def _waiting(self) -> Server | None:
        """An upstream that has been sent a request since it last answered."""
        for upstream in self.line.upstreams:
            size = len(self.line.sent[upstream])
            if upstream.state is ConnectionState.OPEN and size > self._sizes.get(upstream, 0):
                self._sizes[upstream] = size
                return upstream
        return None

    def _answer(self, upstream: Server, pieces: list[bytes]) -> None:
        self.asked += 1
        for left, piece in zip(range(len(pieces), 0, -1), pieces, strict=True):
            if self._story.leaves and left == 3:
                self.line.closes(self.line.client)
            if upstream.state is not ConnectionState.CLOSED:
                self.line.upstream_says(piece, upstream)
            self.line.fire_within(RETRY_SECONDS)
        if self._story.cut and upstream.state is not ConnectionState.CLOSED:
            self.line.closes(upstream)


def end_of(line: Line) -> str:
    """How the client's answer ended: `told`, `closed` without words, or `never`."""
    reader = h11.Connection(h11.CLIENT)
    reader.send(h11.Request(method="GET", target="/", headers=[("host", "x")]))
    reader.send(h11.EndOfMessage())
    reader.receive_data(line.answer)
    closed = line.client.state is ConnectionState.CLOSED
    if closed:
        reader.receive_data(b"")
    with suppress(h11.RemoteProtocolError):
        while (found := reader.next_event()) not in (h11.NEED_DATA, h11.PAUSED):
            if isinstance(found, h11.EndOfMessage):
                return "told"
    return "closed" if closed else "never"


# -- what must hold --------------------------------------------------------------------------------


class Books(msgspec.Struct, frozen=True):
    """What stands in the database and in memory."""

    rows: int
    open: int


def books_of(scene: Scene) -> Books:
    scene.node.engine.flush()
    [row] = scene.node.engine.read(
        "SELECT (SELECT count(*) FROM ledger), (SELECT count(*) FROM open_exchanges)"
    )
    return Books(*row)


def wrong(scene: Scene, story: Story, play: Play, before: Books, told: bool) -> Iterator[str]:
    """What does not hold after a story; `told`: its client must have read how it ended."""
    line = play.line
    if play.asked and not story.admitted:
        yield "it was forwarded"
    end = end_of(line)
    # A head that promises what does not follow can't be taken back.
    promised = b"\r\ncontent-length: " in line.answer
    if not play.heard or story.leaves or story.passes or promised:
        told = False
    if play.heard and end == "never" and not story.leaves:
        yield "it waits for ever"
    elif told and end == "closed":
        yield "its client was not told"
    if line.client.state is not ConnectionState.CLOSED:
        line.closes(line.client)
    if line.requests:
        yield "its stream is kept"
    after = books_of(scene)
    if after.open:
        yield "its reservation is kept"
    if after.rows > before.rows + 1 or (play.asked and story.kept and after.rows == before.rows):
        yield f"it was entered {after.rows - before.rows} times"
    # The only caller may ask one thing at once.
    other = Line(scene.gateway, scene.clock, scene.options)
    other.says(
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n"
        b"authorization: Bearer %b\r\n\r\n{}" % scene.key.encode()
    )
    if b"requests at once" in other.answer:
        yield "its place is kept"
    other.closes(other.client)


def torture(scene: Scene, story: Story, *paths: str) -> tuple[int, list[str]]:
    """How many call sites of the files a story reaches, and what is wrong when one fails."""
    injector, faults = Injector(*paths), []
    with injector.installed(), _silence():
        with injector.watching() as reached:
            Play(scene, story).run()
        sites = list(reached)
        for site in sites:
            before = books_of(scene)
            with injector.watching(site):
                try:
                    play = Play(scene, story)
                except Injected:  # there is no connection yet
                    continue
                play.run()
            told = not site.code.co_filename.startswith(BELOW)
            found = wrong(scene, story, play, before, told)
            faults += [f"{story}: {site}: {fault}" for fault in found]
    return len(sites), faults


@contextmanager
def scene_of_one() -> Iterator[Scene]:
    """A gateway whose only caller has a quota and may ask one thing at once."""
    with ExitStack() as stack:
        folder = stack.enter_context(TemporaryDirectory())
        tctx = stack.enter_context(taddons.context(Proxyserver()))
        tctx.options.update(validate_inbound_headers=True, keep_host_header=True)
        http1.install()
        scene = Scene(Path(folder), tctx.options)
        stack.callback(scene.node.engine.close)
        limited = "UPDATE users SET quota_tokens = 1000000000, concurrency = 1"
        scene.node.engine.transact(lambda work: work.run(limited), alone=())
        yield scene


@contextmanager
def _silence() -> Iterator[None]:
    """Thousands of tracebacks would be logged meanwhile."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(before)


def figures() -> Iterable[Figure]:
    with scene_of_one() as scene:
        results = [torture(scene, story, *OURS, BELOW) for story in STORIES]
    sites = sum(count for count, _ in results)
    faults = [fault for _, found in results for fault in found]
    scale = f"an exception at each of {sites:,} call sites in {len(STORIES)} kinds of requests"
    measured = f"{len(faults)} forwarded, hung or leaked"
    yield Figure("F11", scale, "; ".join([measured, *faults[:3]]), "0", not faults)
