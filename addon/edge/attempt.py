"""One attempt at an upstream: what was sent, what has come, and when it is too late."""

import msgspec

from addon.edge.upstream_socket import UpstreamSocket
from addon.exchange.upstream_request import Outgoing
from addon.formats.neutral.deltas import StreamError
from addon.formats.wire.inflate import Inflate, TooLarge, Unreadable, is_known
from addon.formats.wire.sse import holds_events
from shared.config.schema import Timeouts

__all__ = ("Attempt",)

MAX_REFUSAL = 256 * 1024
"""Bytes of an upstream's error that are read: a page of text, with room for HTML."""

MAX_WHOLE = 64 * 1024 * 1024
"""Bytes of an upstream's answer that is not streamed: a picture in base64 fits."""

MAX_INFLATED = 16 * 1024 * 1024
"""Bytes of one that came compressed, though that was not asked for: text of any length fits,
and pictures don't compress.
"""


_TOO_LARGE = StreamError("The upstream's answer is too large.", code="upstream_too_large")


class Attempt(msgspec.Struct):
    """One candidate's turn; times are seconds on the monotonic clock."""

    request: Outgoing
    reused: bool
    """Whether its connection served an earlier request."""

    sent_at: float = 0
    heard_at: float = 0
    noted_at: float = 0
    """When the books were told what has come of its answer."""

    closes: bool = False
    """Whether it was given up, and the end of its connection has yet to be reported."""

    status: int = 0
    """0 until the head has come."""

    headers: dict[str, str] = {}
    body: bytearray = msgspec.field(default_factory=bytearray)
    """Of an answer that is not streamed, inflated as it comes."""

    inflate: Inflate | None = None
    """Undoes its Content-Encoding; None: there is none that we read."""

    socket: UpstreamSocket | None = None
    """Its connection; None: it is one of mitmproxy's."""

    @property
    def is_stale(self) -> bool:
        """Whether its connection had ended, as far as is known, before the upstream could take
        the request from it: that says nothing of the upstream.
        """
        if self.socket is not None:
            return self.socket.untouched
        return self.reused

    @property
    def succeeded(self) -> bool:
        return self.status < 300

    @property
    def is_stream(self) -> bool:
        """Whether events follow the head: some upstreams answer whole though asked to stream."""
        return self.status == 200 and "json" not in self.headers.get("content-type", "")

    def begins_stream(self, first: bytes) -> bool:
        """Whether these are the first bytes of the body, and of events: some upstreams label
        them JSON.
        """
        return self.status == 200 and len(self.body) == len(first) and holds_events(first)

    def head_fault(self) -> StreamError | None:
        """Why the head is no final answer (RFC 9110 §15)."""
        if 200 <= self.status < 300 or 400 <= self.status < 600:
            return None
        # A redirect would take the key elsewhere.
        message = f"The upstream answered {self.status}: see its base_url."
        return StreamError(message, code="bad_status")

    def collect(self) -> None:
        """Make ready for a body; one whose coding is not known stays as it is."""
        coding = self.headers.get("content-encoding", "")
        if coding and is_known(coding):
            del self.headers["content-encoding"]
            self.inflate = Inflate(coding)

    def add(self, data: bytes) -> StreamError | None:
        """Add to the body; the error is its being damaged or too large."""
        most = self._most
        if self.inflate is not None:
            try:
                data = self.inflate.feed(data, max(0, most - len(self.body)))
            except TooLarge:
                return _TOO_LARGE
            except Unreadable as error:
                return StreamError(f"{error}.", code="upstream_malformed")
        self.body += data
        return _TOO_LARGE if len(self.body) > most else None

    @property
    def _most(self) -> int:
        """Bytes that the body may have."""
        if not self.succeeded:
            return MAX_REFUSAL
        return MAX_WHOLE if self.inflate is None else MAX_INFLATED

    def lateness(self, now: float, opened_at: float, timeouts: Timeouts) -> StreamError | None:
        """The error of the deadline that has passed; the exchange was opened at `opened_at`."""
        late = ""
        if timeouts.total and now - opened_at > timeouts.total:
            late = f"took longer than {timeouts.total:g} s in all"
        elif not self.status and timeouts.first_byte and now - self.sent_at > timeouts.first_byte:
            late = f"did not answer within {timeouts.first_byte:g} s"
        elif self.status and timeouts.idle and now - self.heard_at > timeouts.idle:
            late = f"sent nothing for {timeouts.idle:g} s"
        if late:
            return StreamError(f"The upstream {late}.", 504, "upstream_timeout")
        return None
