"""What the routes over settings take and give."""

from typing import Annotated

import msgspec

from manage_api.paging import LARGEST
from shared.config.layers import Source

__all__ = ("Changes", "SettingView", "Value")

Value = (
    bool
    | Annotated[int, msgspec.Meta(ge=-LARGEST, le=LARGEST)]
    | Annotated[str, msgspec.Meta(max_length=2048)]
    | Annotated[list[Annotated[str, msgspec.Meta(max_length=256)]], msgspec.Meta(max_length=1024)]
)

Changes = Annotated[
    dict[Annotated[str, msgspec.Meta(max_length=64)], Value | None], msgspec.Meta(max_length=64)
]
"""Values by dotted name; null goes back to the default."""


class SettingView(msgspec.Struct, frozen=True, kw_only=True):
    """A setting and where its value comes from."""

    name: str
    """As in the file, with its table: `audit.mode`."""

    about: str
    """What it is for; empty for those that can never be changed here."""

    value: Value
    default: Value
    choices: list[str]
    """The values there are; empty: many."""

    source: Source
    set_by: str
    """The environment variable or the file that gave it; else empty."""

    editable: bool
    """It can be changed here, now."""

    problem: str
    """Why what was set here before can't be used; else empty."""
