"""The bodies of the routes over settings."""

from typing import Annotated

import msgspec

from shared.config.layers import Source
from shared.model import LARGEST

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
"""Values by dotted name; null restores the default."""


class SettingView(msgspec.Struct, frozen=True, kw_only=True):
    """A setting and where its value comes from."""

    name: str
    """With its table in the file: `audit.mode`."""

    about: str
    """What it is for; empty if it can never be changed here."""

    value: Value
    default: Value
    choices: list[str]
    """The allowed values; empty: not a fixed list."""

    source: Source
    set_by: str
    """The environment variable or the file that sets it; else empty."""

    editable: bool
    """Whether it can be changed here now."""

    problem: str
    """Why the value set here can't be used; else empty."""
