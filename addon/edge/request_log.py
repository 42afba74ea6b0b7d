"""What the log notes of a flow: its line, its settlement in the books, credentials masked."""

import logging
from collections.abc import Callable, Mapping
from urllib.parse import unquote
from weakref import WeakKeyDictionary

import msgspec
from mitmproxy import http

from addon.admission.client import client_address
from addon.edge.convert import peer_address
from addon.exchange.intake import Intake
from addon.ledger.outcome import Delivery, Outcome
from addon.log import RequestLine
from addon.node import Node
from shared.log import CALLER_HEADER, masked
from shared.model import Principal
from shared.security.keys import mask

__all__ = ("RequestLog", "mask_credentials")

LONGEST_PATH = 200
"""Characters of a path that a line shows: a path may be as long as a head, 64 KiB."""

_CREDENTIAL_HEADERS = {
    b"authorization",
    b"api-key",
    b"x-api-key",
    b"cookie",
    b"set-cookie",
    b"proxy-authorization",
}
_SCHEMES = ("basic", "bearer")
_log = logging.getLogger("thinkback")


class _Note(msgspec.Struct):
    """What the log needs of a flow until it ends."""

    line: RequestLine
    began: float
    """Seconds on the monotonic clock."""

    intake: Intake | None = None
    routine: bool = False
    """A health check, or what a page loads by itself: not worth a line unless it fails."""


class RequestLog:
    """Writes one line for each flow and settles its exchange, once."""

    def __init__(self, node: Node, may_log: Callable[[str], bool] = lambda address: True) -> None:
        """`may_log` says whether the log takes another line of a stranger at an address."""
        self._node = node
        self._may_log = may_log
        self._notes: WeakKeyDictionary[http.HTTPFlow, _Note] = WeakKeyDictionary()

    def open(self, flow: http.HTTPFlow, headers: Mapping[str, str]) -> None:
        """Begin the flow's line; `headers` have names in lower case."""
        trusted = self._node.snapshot.server.trusted_proxies
        forwarded = headers.get("x-forwarded-for", "")
        line = RequestLine(
            client=client_address(peer_address(flow), forwarded, trusted),
            user_agent=headers.get("user-agent", ""),
            method=flow.request.method,
            path=flow.request.path.partition("?")[0][:LONGEST_PATH],
            status="",
            seconds=0,
        )
        self._notes[flow] = _Note(line, self._node.clock.monotonic())

    def client(self, flow: http.HTTPFlow) -> str:
        """The client's address, as far as proxies are trusted to tell it."""
        return self._notes[flow].line.client

    def note_routine(self, flow: http.HTTPFlow) -> None:
        """Leave the flow's line out unless it fails."""
        self._notes[flow].routine = True

    def note_page(self, flow: http.HTTPFlow, response: http.Response) -> None:
        """Take from the sidecar's response whom it has as its caller: a page of theirs is a short
        line, and what it loads by itself is routine.
        """
        user = unquote(response.headers.pop(CALLER_HEADER, ""))
        if note := self._notes.get(flow):
            note.routine = _is_loaded_by_page(flow.request, signed_in=bool(user))
            if user:
                note.line.principal, note.line.user_agent = user, ""

    def note_caller(self, flow: http.HTTPFlow, caller: Principal) -> None:
        line = self._notes[flow].line
        line.principal, line.key_suffix = caller.name, caller.key_suffix

    def note_intake(self, flow: http.HTTPFlow, intake: Intake) -> None:
        """Report and settle what this comes to when the flow ends."""
        self._notes[flow].intake = intake

    def note_progress(self, flow: http.HTTPFlow) -> None:
        """Note in the books what has come of the flow's exchange."""
        note = self._notes.get(flow)
        if note is not None and note.intake is not None and note.intake.opened is not None:
            self._node.note_progress(note.intake.outcome())

    def settle(
        self, flow: http.HTTPFlow, status: str, *, client_left: bool = False, cut: str = ""
    ) -> None:
        """End the flow's line; a second time does nothing. `cut` as in `Delivery`."""
        note = self._notes.get(flow)
        if note is None:
            return
        try:
            note.line.status = status
            note.line.seconds = self._node.clock.monotonic() - note.began
            if note.intake is not None:
                self._end(note.intake, note.line, client_left=client_left, cut=cut)
            if self._is_written(note):
                flow.comment = note.line.write()
            else:
                flow.comment = note.line.text()
        finally:
            if note.intake is not None:
                note.intake.close()
            self._notes.pop(flow, None)

    def _is_written(self, note: _Note) -> bool:
        """Whether the log takes the line: of callers nobody knows not more than its budget."""
        line = note.line
        if note.routine and line.status[:1] not in "45":
            return False
        return bool(line.principal) or self._may_log(line.client)

    def debug(self, intake: Intake, body: bytes) -> None:
        """Show the request's messages and body where the log's level asks for them."""
        if not _log.isEnabledFor(logging.DEBUG):
            return
        limits = self._node.snapshot.logging
        for line in intake.outcome().summary():
            _log.debug("%s", masked(line, limits.message_max_chars))
        _log.debug("body: %s", masked(body.decode(errors="replace"), limits.body_max_chars))

    def _end(self, intake: Intake, line: RequestLine, *, client_left: bool, cut: str) -> None:
        outcome = intake.outcome()
        _report(line, outcome)
        if not intake.kept:
            return
        delivery = Delivery(
            status=line.status,
            seconds=line.seconds,
            client=line.client,
            user_agent=line.user_agent,
            client_left=client_left,
            cut=cut,
        )
        intake.wait_for(self._node.settle(outcome, intake.opened, delivery))


def mask_credentials(headers: http.Headers) -> None:
    """Mask credentials in place: mitmweb shows the flow."""
    headers.fields = tuple(
        [
            (name, _masked(text) if name.lower() in _CREDENTIAL_HEADERS else text)
            for name, text in headers.fields
        ]
    )


def _masked(raw: bytes) -> bytes:
    text = raw.decode("utf-8", "surrogateescape")
    scheme, space, token = text.partition(" ")
    if scheme.lower() in _SCHEMES:
        return f"{scheme}{space}{mask(token)}".encode("utf-8", "surrogateescape")
    return mask(text).encode("utf-8", "surrogateescape")


def _is_loaded_by_page(request: http.Request, *, signed_in: bool) -> bool:
    """Whether a page asks for this without anybody's doing: its scripts and styles, and for
    who is signed in also what htmx polls for (https://htmx.org/reference/#request_headers) and
    event streams.
    """
    if request.path.startswith("/static/"):
        return True
    headers = request.headers
    polls = "hx-request" in headers or headers.get("accept") == "text/event-stream"
    return signed_in and request.method == "GET" and polls


def _report(line: RequestLine, outcome: Outcome) -> None:
    """Add what became of the exchange."""
    line.model = outcome.entry.model
    line.upstream, line.upstream_model = outcome.entry.upstream, outcome.entry.upstream_model
    line.tries = tuple(tried.outcome or "-" for tried in outcome.tries)
    if outcome.tries and (key := outcome.tries[-1].candidate.key):
        line.upstream_key = mask(key)
    if outcome.restoration is not None:
        line.restored, line.step = outcome.restoration.counts, outcome.restoration.step
    line.first_byte, line.note = outcome.first_byte, outcome.trouble
    if usage := outcome.usage:
        line.tokens = (usage.prompt_tokens, usage.cached_tokens, usage.completion_tokens)
