"""The bodies of the routes over upstreams."""

from typing import Annotated, Literal

import msgspec

from shared.model import LARGEST

__all__ = (
    "KeyReport",
    "KeyView",
    "Place",
    "ProfileBy",
    "RewriteBody",
    "RouteView",
    "RoutesView",
    "TimeoutsBody",
    "UpstreamBody",
    "UpstreamReport",
    "UpstreamView",
)

Text = Annotated[str, msgspec.Meta(max_length=2048)]
Name = Annotated[str, msgspec.Meta(max_length=256)]
Secret = Annotated[str, msgspec.Meta(max_length=4096)]
ProfileBy = Literal["api", "name", "host", "model", "default"]
Seconds = Annotated[float, msgspec.Meta(ge=0, le=86400)]


class RewriteBody(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    rename={"from_": "from"},
    omit_defaults=True,
):
    """A rewrite of model names: `from` and `to`, or `from_pattern` and `to_template`."""

    from_: Text = ""
    to: Text = ""
    from_pattern: Text = ""
    to_template: Text = ""
    effort: Name = ""


class TimeoutsBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Seconds; 0 means no limit."""

    connect: Seconds = 10
    first_byte: Seconds = 300
    idle: Seconds = 300
    total: Seconds = 0


class UpstreamBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An upstream to store, with the fields and rules of `[[upstreams]]` in the file."""

    name: Annotated[str, msgspec.Meta(max_length=64)]
    base_url: Text
    api_keys: Annotated[list[Secret], msgspec.Meta(max_length=256)] = []
    """A masked key, like `…a1b2`, keeps the key it stands for."""

    models: Annotated[list[Name], msgspec.Meta(max_length=2048)] = []
    api: Literal["chat", "responses", "messages"] = "chat"
    path: Text = ""
    api_version: Name = ""
    auth: Literal["", "bearer", "api-key", "x-api-key"] = ""
    images: Literal["take", "drop", "refuse"] = "take"
    hosted_tools: Literal["drop", "refuse"] = "drop"
    mirror: Literal["off", "details", "think"] = "off"
    compact_signal: bool = False
    model_rewrites: Annotated[list[RewriteBody], msgspec.Meta(max_length=512)] = []
    profile: Name = ""
    headers: Annotated[dict[Name, Secret], msgspec.Meta(max_length=64)] = {}
    """Values of headers that look secret are masked and kept like keys."""

    # A struct as default can't be shown in the API's description.
    timeouts: TimeoutsBody = msgspec.field(default_factory=TimeoutsBody)


class Place(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where to move an upstream."""

    position: Annotated[int, msgspec.Meta(ge=1, le=LARGEST)]
    """From 1, among those not provisioned; a larger number means the last."""


class KeyView(msgspec.Struct, frozen=True, kw_only=True):
    """A key of an upstream and its state."""

    key: str
    resting_until: int | None
    """Epoch milliseconds; null: it is in use."""

    resting_why: str


class UpstreamView(msgspec.Struct, frozen=True, kw_only=True):
    """An upstream as an admin sees it, secrets masked."""

    id: int | str
    """A string like `config:deepseek` for a provisioned one."""

    provisioned: bool
    """Whether it comes from the file or the environment, where it can be changed."""

    active: bool
    """Whether requests are sent to it."""

    problem: str
    """Why it is not active; else empty."""

    endpoint: str
    """Where requests go."""

    name: str
    base_url: str
    api_keys: list[str]
    keys: list[KeyView]
    models: list[str]
    api: Literal["chat", "responses", "messages"]
    path: str
    api_version: str
    auth: Literal["", "bearer", "api-key", "x-api-key"]
    images: Literal["take", "drop", "refuse"]
    hosted_tools: Literal["drop", "refuse"]
    mirror: Literal["off", "details", "think"]
    compact_signal: bool
    model_rewrites: list[RewriteBody]
    profile: str
    headers: dict[str, str]
    timeouts: TimeoutsBody


class KeyReport(msgspec.Struct, frozen=True, kw_only=True):
    """The result of trying one key."""

    key: str
    works: bool
    status: int | None
    """HTTP status of the response; null: there was none."""

    latency_ms: int
    message: str


class UpstreamReport(msgspec.Struct, frozen=True, kw_only=True):
    """The results of requesting an upstream's models with each key."""

    works: bool
    """Whether every key works."""

    message: str
    models: list[str]
    keys: list[KeyReport]


class RouteView(msgspec.Struct, frozen=True, kw_only=True):
    """An upstream that serves a model."""

    upstream: str
    upstream_id: int | str
    by: Literal["rewrite", "model", "every-model"]
    """Why: a rewrite matches, the upstream lists the model, or it takes every model."""

    rule: int | None
    """The number of the matching rewrite, from 1."""

    rewrite: RewriteBody | None
    model: str
    """Its name at the upstream."""

    effort: str
    """The reasoning effort; empty: as the client requests."""

    profile: str
    profile_by: ProfileBy
    """What the profile was chosen by; `name`: it is configured, `api`: the API format."""

    keys: int
    resting: int
    """The number of keys that rest after a failure."""


class RoutesView(msgspec.Struct, frozen=True, kw_only=True):
    """Where a request for a model would go."""

    model: str
    stand_in: str | None
    """The model that `[tiers]` maps it to; null: none."""

    routes: list[RouteView]
    """In the configured order; empty: no upstream serves it."""

    chosen: str | None
    """The upstream that is tried first: the first with a key that does not rest."""
