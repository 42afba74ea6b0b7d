"""The bodies of the routes over the caller's own account."""

from typing import Annotated, Literal

import msgspec

from manage_api.domains.keys.schemas import KeyView
from manage_api.domains.users.schemas import Password, UserDetails
from shared.model import LARGEST, MirrorWish

__all__ = ("CallToken", "CallTokenWish", "Me", "MeChanges", "PasswordChange")


class Me(UserDetails, frozen=True, kw_only=True):
    """The caller."""

    reserved_tokens: int
    """What running requests may still use, in addition to past usage."""

    reserved_cost_micros: int
    auth: Literal["session", "key"]
    mirror: MirrorWish
    """How Cursor shows the reasoning; empty: as the upstream is configured."""

    key: KeyView | None
    """The virtual key in use, whose limits apply as well; null for a session."""


class MeChanges(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Changes to the caller's own account."""

    mirror: MirrorWish
    """How Cursor shows the reasoning; empty: as the upstream is configured."""


class CallTokenWish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a token for requests to models is to be good for."""

    key_id: Annotated[int, msgspec.Meta(ge=1, le=LARGEST)] | None = None
    """The virtual key whose models and limits hold; null: only the account's."""


class CallToken(msgspec.Struct, frozen=True):
    """A token for `Authorization: Bearer` in requests to models."""

    token: str
    expires_at: int
    """Epoch milliseconds."""


class PasswordChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The current and the new password."""

    current_password: Password
    new_password: Password
