"""What every exchange works with."""

from collections.abc import Callable

import msgspec

from addon.exchange.stored_answers import StoredAnswers
from addon.formats.wire.pieces import Pieces
from addon.ledger.meter import Meter
from addon.ledger.rests import KeyRests
from addon.recall.lessons import Lessons
from addon.recall.memory import Recall
from addon.routing.keyring import Keyring
from shared.clock import Clock
from shared.store.lookup import Found, Wanted

__all__ = ("Services",)


_PIECES_BYTES = 64 * 1024 * 1024
"""As much as a dozen of the longest conversations take, or two hundred of the usual ones."""


class Services(msgspec.Struct, frozen=True):
    """The node's collaborators, shared by all of its exchanges."""

    recall: Recall
    lessons: Lessons
    keyring: Keyring
    rests: KeyRests
    meter: Meter
    answers: StoredAnswers
    clock: Clock
    look_up: Callable[[Wanted], Found]
    """What a request wants to know of the store before it goes out."""

    id_key: bytes
    """Authenticates minted tool-call ids."""

    seal_key: bytes
    """Seals the reasoning that clients carry."""

    retired_seal_keys: tuple[bytes, ...]
    """Sealed such reasoning before the secret was changed."""

    random: Callable[[int], bytes]

    pieces: Pieces = msgspec.field(default_factory=lambda: Pieces(_PIECES_BYTES))
    """What is known of the messages that came last."""
