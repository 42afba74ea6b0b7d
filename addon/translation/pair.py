"""What stands between one client and its upstreams: requests go out through it, answers come
back.
"""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import msgspec

from addon.formats.chat.carriers import Quirks
from addon.formats.neutral.deltas import StreamError
from addon.formats.neutral.member_rules import MemberRules
from addon.formats.neutral.problem import Problem
from addon.formats.neutral.protocols import Head, Mint, Relay, Seal
from addon.formats.neutral.request import WireFormat
from addon.formats.neutral.turn import Edit, Message, Turn, Usage
from addon.formats.wire.sse import holds_events
from addon.mirror.stream import Mirror
from shared.config.schema import Upstream
from shared.profiles import Profile

__all__ = (
    "Answered",
    "ByUpstream",
    "ClientRequest",
    "Encoded",
    "Identity",
    "Pair",
    "Wanted",
    "Whole",
)


class ClientRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What a client asks for, in any format."""

    wire_format: WireFormat
    """The format it is answered in."""

    model: str
    stream: bool
    has_tools: bool
    messages: list[Message]
    max_tokens: int | None
    choices: int
    """Answers to choose from, each of which may be so long."""

    usage_asked: bool
    """Whether the client wants to see the streamed usage."""

    structured: bool
    """Whether the answer's text must have a shape, like JSON's."""

    metadata: dict[str, Any] = {}
    user: str = ""
    cache_key: str = ""
    """`prompt_cache_key`."""


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What is to go to whom."""

    upstream: Upstream
    model: str
    """The upstream's own name of it."""

    profile: Profile
    sure: bool
    """Whether the upstream is known to speak as the profile says, not only guessed by the
    model's name.
    """

    edits: dict[int, Edit]
    """By the indexes of the client's messages."""

    effort: str
    """How hard to think, whatever the client says; empty: as it says."""

    thinking_off: bool
    unusable: frozenset[str]
    """State that stays here."""

    pictures: bool
    allows_consecutive_user_messages: bool
    """What a chat upstream takes: pictures, two messages of the user in a row."""

    rules: MemberRules = MemberRules()
    """What it has shown of a request's members."""

    counts: bool = False
    """The upstream is asked to count the tokens of the request, not to answer it."""

    longest: int | None = None
    """The most tokens that its caller's quota leaves for the answer; None: the request's own limit
    is enough.
    """


class Encoded(msgspec.Struct, frozen=True):
    """A body for an upstream."""

    body: bytes
    custom: frozenset[str] = frozenset()
    """Custom tools that the upstream knows as functions."""

    notes: tuple[str, ...] = ()
    """What the upstream does not get, in words."""

    names: Mapping[str, str] = {}
    """Tools' own names by those under which the upstream knows them."""


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """Who answers, and how."""

    upstream: WireFormat
    custom: frozenset[str] = frozenset()
    names: Mapping[str, str] = {}
    """As in `Encoded`."""

    quirks: Quirks = Quirks()
    """Those of chat answers."""

    mirror: Mirror | None = None
    """What shows a client of Chat Completions the reasoning in the content."""

    prompt_tokens: int = 0
    """What the prompt probably has, for a stream that says so before the upstream does."""


class Whole(msgspec.Struct, frozen=True):
    """An upstream's whole answer, in the client's terms."""

    turns: dict[int, Turn]
    usage: Usage | None
    error: StreamError | None
    body: Callable[[], bytes]
    """What the client gets: a body, or a stream's events if it asked for a stream."""


class Identity(msgspec.Struct, frozen=True):
    """Whose an answer is."""

    head: Head
    mint: Mint
    seal: Seal


class Pair(Protocol):
    """Speaks the client's format to the client, and those of its upstreams to them."""

    @property
    def request(self) -> ClientRequest:
        """What the client asks for."""

    def body_for(self, wanted: Wanted) -> Encoded:
        """The body for an upstream. Raises RequestError."""

    def relay(self, answered: Answered) -> Relay:
        """What passes an upstream's stream on."""

    def whole(self, answered: Answered, body: bytes) -> Whole | None:
        """Read an upstream's whole answer; None for a body that is no answer."""

    def failed_end(self, problem: Problem) -> bytes:
        """The end of a stream of which nothing but comments was sent."""


class ByUpstream:
    """A pair whose upstreams may speak the client's format or another."""

    def __init__(self, same: Pair, across: Pair) -> None:
        self._same = same
        self._across = across
        self.request: ClientRequest = same.request

    def body_for(self, wanted: Wanted) -> Encoded:
        return self._for(wanted.upstream.api).body_for(wanted)

    def relay(self, answered: Answered) -> Relay:
        return self._for(answered.upstream).relay(answered)

    def whole(self, answered: Answered, body: bytes) -> Whole | None:
        if holds_events(body):  # nothing is there to be patched
            return self._across.whole(answered, body)
        return self._for(answered.upstream).whole(answered, body)

    def failed_end(self, problem: Problem) -> bytes:
        return self._same.failed_end(problem)

    def _for(self, upstream: WireFormat) -> Pair:
        if upstream == self.request.wire_format:
            return self._same
        return self._across
