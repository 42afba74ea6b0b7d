"""Exchanges at their end, and who asked."""

from addon.exchange.exchange import Exchange
from addon.exchange.intake import Intake
from addon.ledger.entry import entry_of
from addon.ledger.outcome import Delivery
from shared.model import Principal
from shared.store.ledger import Entry
from tests.addon.callers import principal, user, virtual_key
from tests.addon.desk import Desk
from tests.support.turns import Call, Turn

__all__ = ("CALLER", "CALLING", "PASSING", "SAYING", "delivery", "entered")

SAYING = Turn(reasoning="thought of words", text="All of it is done.")
CALLING = Turn(reasoning="thought of a call", calls=(Call("call_0", "Read", '{"path": "a.py"}'),))
CALLER = principal(user(), virtual_key())
PASSING = Principal(
    id="upstream:00",
    name="passthrough",
    key_suffix="cret",
    upstream="one",
    upstream_key="sk-one-secret",
)


def entered(
    desk: Desk, exchange: Exchange | Intake, status: str = "200", *, client_left: bool = False
) -> Entry:
    return entry_of(exchange.outcome(), delivery(status, client_left=client_left), desk.meter)


def delivery(status: str = "200", *, client_left: bool = False) -> Delivery:
    return Delivery(
        status=status,
        seconds=2,
        client="203.0.113.5",
        user_agent="Cursor/1.0",
        client_left=client_left,
    )
