"""What the routes over one's own account take and give."""

from typing import Literal

import msgspec

from manage_api.domains.keys.schemas import KeyView
from manage_api.domains.users.schemas import Password, UserDetails
from shared.model import MirrorWish

__all__ = ("Me", "MeChanges", "PasswordChange")


class Me(UserDetails, frozen=True, kw_only=True):
    """The caller."""

    reserved_tokens: int
    """What running requests may still use, beside what is used."""

    reserved_cost_micros: int
    auth: Literal["session", "key"]
    mirror: MirrorWish
    """How the reasoning is shown in Cursor; empty: as the upstream's setting says."""

    key: KeyView | None
    """The virtual key that was shown, whose limits hold too; null for a session."""


class MeChanges(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What shall be different about one's own account."""

    mirror: MirrorWish
    """How the reasoning is shown in Cursor; empty: as the upstream's setting says."""


class PasswordChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The password as it is and as it shall be."""

    current_password: Password
    new_password: Password
