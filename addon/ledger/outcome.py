"""What an exchange came to: all that the ledger, the audit and the log are told of it."""

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from addon.formats.neutral.turn import Message, Turn, Usage
from addon.recall.restore import Restoration
from addon.routing.attempts import Tried
from shared.store.ledger import Entry

__all__ = ("Delivery", "Outcome")


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """An exchange at its end, however it ended."""

    entry: Entry
    """Who asked for what, and the candidate that was tried last; nothing of what came of it."""

    error_class: str = ""
    """Why the client got no answer, in a word; empty when it got one."""

    trouble: str = ""
    """What went wrong after the answer began, in a word; empty when nothing did."""

    usage: Usage | None = None
    """As the upstream counted; None when it did not."""

    turns: Mapping[int, Turn] = {}
    """What the upstream answered, as far as it came, by choice."""

    restoration: Restoration | None = None
    """None when no body was made for an upstream."""

    tries: tuple[Tried, ...] = ()
    sent_bytes: int = 0
    """Bytes of the body that an upstream took or may be working on; 0 when all refused it."""

    first_byte: float | None = None
    """Seconds until the upstream's answer began."""

    policy: str = ""
    """The profile of what was tried last, and what it says to do for turns whose reasoning
    is not known.
    """

    notes: tuple[str, ...] = ()
    """What of the request the upstream did not get, in words."""

    messages: Sequence[Message] | None = None
    """What was asked; None when the request was not understood."""

    @property
    def whole(self) -> bool:
        """Whether every turn that has begun has come to its end."""
        return all(turn.finish_reason for turn in self.turns.values())

    def summary(self) -> Iterator[str]:
        """One line per message: what it holds and how its turn was found; for debugging."""
        turns: dict[int, str] = {}
        if self.restoration is not None:
            turns = {one.at: f" turn={one.rule} {one.why}" for one in self.restoration.diagnoses}
        for at, message in enumerate(self.messages or ()):
            calls = ",".join(call.name for call in message.calls)
            if calls:
                calls = f" calls={calls}"
            yield f"[{at}] {message.role}{calls}{turns.get(at, '').rstrip()}: {message.text}"


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """How the client's connection saw it."""

    status: str
    """HTTP status, or `gone` when the client left before it had one."""

    seconds: float
    client: str
    """Network address."""

    user_agent: str
    client_left: bool
    cut: str = ""
    """Why we broke it off, in a word; empty when we did not."""
