"""Every setting with its default, as frozen structs under `Snapshot`."""

import re
from functools import cached_property
from typing import Any, Literal
from urllib.parse import parse_qs, quote, urljoin, urlsplit

import msgspec

from shared.config.address import is_loopback, split_address
from shared.profiles import Decided, Profile, Profiles

__all__ = (
    "EFFORTS",
    "PROFILE_NAMES",
    "Api",
    "Audit",
    "Auth",
    "Backup",
    "Ledger",
    "Logging",
    "ModelRewrite",
    "Models",
    "Recall",
    "Registration",
    "Responses",
    "Server",
    "Snapshot",
    "Tiers",
    "Timeouts",
    "Upstream",
)

EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
"""The reasoning efforts; which of them a model supports depends on the model."""

type Api = Literal["chat", "responses", "messages"]
type Auth = Literal["", "bearer", "api-key", "x-api-key"]

_PATHS = {"chat": "/chat/completions", "responses": "/responses", "messages": "/messages"}
_MIB = 1024 * 1024
_DEFAULT_PORTS = {"http": 80, "https": 443}
_VERSIONED = re.compile(r"/v\d+$")
# Hosts by their documentation; the other vendors of Messages take `Authorization`.
_WITH_X_API_KEY = ("anthropic.com", "minimax.io", "minimaxi.com")
_AZURE = (".openai.azure.com", ".services.ai.azure.com", ".cognitiveservices.azure.com")

PROFILE_NAMES = Profiles().names
"""The built-in reasoning profiles (`shared/profiles.toml`)."""


class Server(msgspec.Struct, frozen=True, kw_only=True):
    """`[server]`: where the programs listen and whom they trust."""

    listen_addr: str = "127.0.0.1:8787"
    admin_addr: str = "127.0.0.1:8788"
    public_url: str = ""
    ui: Literal["public", "local"] = "public"
    trusted_proxies: tuple[str, ...] = ("127.0.0.1", "::1")
    """Addresses or networks whose `X-Forwarded-For` is trusted."""

    workers: int | Literal["auto"] = 1
    """How many data planes share `listen_addr`; `auto`: one for each core. Counts from a start or
    restart on.
    """

    max_body_mib: int = 32
    max_messages: int = 20_000
    drain_seconds: int = 300
    """How long answers may go on when the gateway is stopped or restarted."""
    shutdown_delay_seconds: int = 0
    """For how long a stop has `/readyz` say so before no more connections are taken. Counts from a
    start or restart on.
    """

    max_connections_per_address: int = 1000
    """Also the requests at once that trusted proxies forward for one address; an IPv6
    address counts with all of its /64.
    """

    max_connections_per_network: int = 2000
    """The same for a /24 of IPv4 addresses, or a /48 of IPv6."""

    max_waiting_mib: int = 44
    """Of all requests that are coming and not let in yet; never less than `max_body_mib`."""

    head_seconds: float = 10
    """From the first byte of a request, or from the connection on, to the end of its head."""

    idle_seconds: float = 120
    """How long a connection is kept between two requests."""

    min_body_kib: float = 16
    """KiB per second that a request's body must come with, after half a minute's grace."""

    allow_private_upstreams: bool = False
    allow_upstream_keys: bool = True

    @property
    def waiting_bytes(self) -> int:
        """What all requests that are coming may hold."""
        return max(self.max_waiting_mib, self.max_body_mib) * _MIB

    @property
    def waiting_bytes_of_one(self) -> int:
        """The same of one user, or of one address without a key."""
        return max(self.max_waiting_mib // 2, self.max_body_mib) * _MIB

    @property
    def is_exposed(self) -> bool:
        """Whether other machines reach it, directly or through the proxy at `public_url`."""
        hosts = [split_address(address)[0] for address in (self.listen_addr, self.admin_addr)]
        return bool(self.public_url) or not all(map(is_loopback, hosts))


class Logging(msgspec.Struct, frozen=True, kw_only=True):
    """`[logging]`: what is logged, and how."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    color: Literal["auto", "always", "never"] = "auto"
    body_max_chars: int = 4096
    message_max_chars: int = 2000


class Recall(msgspec.Struct, frozen=True, kw_only=True):
    """`[recall]`: how long and how much reasoning is remembered."""

    max_age_days: int = 30
    max_mib: int = 0
    """0: as much as the disk has room for, see `shared.store.room`."""

    memory_mib: int = 64
    """Bound of the in-process cache of the table."""

    max_restored_mib: int = 32
    """What a request may get of it: one that only names turns is small itself."""


class Registration(msgspec.Struct, frozen=True, kw_only=True):
    """`[registration]`: who may create an account."""

    allowed: bool = True
    """Unless a layer sets it, True only while the server is not exposed."""

    quota_tokens: int = 0
    invite_codes: tuple[str, ...] = ()


class Ledger(msgspec.Struct, frozen=True, kw_only=True):
    """`[ledger]`: how long single exchanges are listed; the daily totals stay."""

    max_age_days: int = 365


class Audit(msgspec.Struct, frozen=True, kw_only=True):
    """`[audit]`: what is kept of users' requests, and for how long.

    Nothing is kept of callers with an upstream's own key.
    """

    mode: Literal["off", "last", "full"] = "last"
    """`last`: the last user message; `full`: the whole conversation too."""

    max_age_days: int = 90
    max_mib: int = 1024


class Responses(msgspec.Struct, frozen=True, kw_only=True):
    """`[responses]`: how long and how many answers are stored for Responses clients."""

    max_age_days: int = 30
    """0: nothing is stored."""

    max_mib: int = 1024


class Backup(msgspec.Struct, frozen=True, kw_only=True):
    """`[backup]`: copies of the database and its secret that are made by themselves."""

    every_hours: int = 0
    """0: none are made."""

    keep: int = 7
    """How many are kept; older ones are deleted."""

    directory: str = ""
    """Empty: `backups` beside the database."""


class Timeouts(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds; 0 means no limit."""

    connect: float = 10
    first_byte: float = 300
    idle: float = 300
    total: float = 0


class Models(msgspec.Struct, frozen=True, kw_only=True):
    """`[models]`: what is asked of upstreams unasked."""

    refresh_seconds: int = 3600
    """How often their lists of models are requested, besides at start and on change; 0: never,
    not then either.
    """


class Tiers(msgspec.Struct, frozen=True, kw_only=True):
    """`[tiers]`: the models that replace Claude's, for clients that only know those."""

    small_model: str = ""
    """For names with `haiku`; empty: no replacement."""

    small_effort: str = ""
    """One of `EFFORTS`; empty: as the client requests."""

    big_model: str = ""
    """For names with `sonnet`, `opus` or `fable`."""

    big_effort: str = ""


class ModelRewrite(
    msgspec.Struct, frozen=True, kw_only=True, rename={"from_": "from"}, omit_defaults=True
):
    """`[[upstreams.model_rewrites]]`: either `from`/`to`, or `from_pattern`/`to_template`
    with `{1}` groups.

    Encoded it has the keys of its form only.
    """

    from_: str = ""
    to: str = ""
    from_pattern: str = ""
    to_template: str = ""
    effort: str = ""
    """The reasoning effort, one of `EFFORTS`; empty: as the client requests."""

    @property
    def source(self) -> str:
        """The name or pattern to match, for messages and the log."""
        return self.from_ or self.from_pattern


class Upstream(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """`[[upstreams]]`: a provider's endpoint, its keys and its models."""

    name: str
    base_url: str
    api_keys: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    """Empty: every model."""

    api: Api = "chat"
    """Its API format: Chat Completions, Responses or Anthropic's Messages."""

    path: str = ""
    """Appended to `base_url`; empty: see `request_path`.

    `{model}` in either stands for the model's name at the upstream.
    """

    api_version: str = ""
    """Azure's `api-version`, which may also be in `base_url`."""

    auth: Auth = ""
    """How the key is sent; empty: the provider's usual way, see `key_header`."""

    images: Literal["take", "drop", "refuse"] = "take"
    """What becomes of pictures and files."""

    hosted_tools: Literal["drop", "refuse"] = "drop"
    """What becomes of tools that only the provider of another format runs."""

    mirror: Literal["off", "details", "think"] = "off"
    """Whether clients of Chat Completions see the reasoning in the content, and how."""

    compact_signal: bool = False
    """Whether a conversation that is too long gets a usage that makes Cursor summarise it."""

    model_rewrites: tuple[ModelRewrite, ...] = ()
    profile: str = ""
    """A name of `PROFILE_NAMES` or of `[profiles]`; empty: chosen by host, then model."""

    headers: dict[str, str] = {}
    timeouts: Timeouts = Timeouts()

    @property
    def guarded(self) -> bool:
        """Whether it must not be in a private network, as it was added in the web pages from
        afar.
        """
        return False

    @cached_property
    def scheme(self) -> str:
        return urlsplit(self.base_url).scheme

    @cached_property
    def host(self) -> str:
        return urlsplit(self.base_url).hostname or ""

    @cached_property
    def port(self) -> int:
        return urlsplit(self.base_url).port or _DEFAULT_PORTS.get(self.scheme, 80)

    @cached_property
    def request_path(self) -> str:
        """The path of `base_url`, `/v1` if it has none, and the API's path.

        Bases for Messages lack a version in most vendors' documents, so they get it unless
        they end in one.
        """
        base = urlsplit(self.base_url).path.rstrip("/")
        if self.path:
            return base + self.path
        versioned = bool(base)
        if self.api == "messages":
            versioned = _VERSIONED.search(base) is not None
        if not versioned:
            base += "/v1"
        return base + _PATHS[self.api]

    @property
    def endpoint(self) -> str:
        """Where requests go, for messages and to tell places apart."""
        return urljoin(self.base_url, self.request_path)

    def target(self, model: str) -> str:
        """Return the request target, path and query, for a model."""
        path = self.request_path.replace("{model}", quote(model, safe=""))
        if self.version:
            path += f"?api-version={quote(self.version)}"
        return path

    @cached_property
    def version(self) -> str:
        """Azure's `api-version`, or an empty string."""
        values = parse_qs(urlsplit(self.base_url).query).get("api-version", [""])
        return self.api_version or values[0]

    @cached_property
    def is_azure(self) -> bool:
        """Whether it is Azure OpenAI
        (https://learn.microsoft.com/azure/ai-foundry/openai/reference).
        """
        return bool(self.version) or self.host.endswith(_AZURE)

    @cached_property
    def key_header(self) -> tuple[str, str]:
        """Name of the header with the key, and what precedes the key in it."""
        auth = self.auth or self._usual_auth
        if auth == "bearer":
            return "authorization", "Bearer "
        return auth, ""

    @property
    def _usual_auth(self) -> Auth:
        if self.is_azure:
            return "api-key"
        if self.api == "messages" and self.host.endswith(_WITH_X_API_KEY):
            return "x-api-key"
        return "bearer"

    @cached_property
    def patterns(self) -> tuple[re.Pattern[str] | None, ...]:
        """The rewrites' patterns, compiled; None where a rewrite is exact."""
        return tuple(
            re.compile(rewrite.from_pattern) if rewrite.from_pattern else None
            for rewrite in self.model_rewrites
        )


class Snapshot(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """One immutable view of the whole configuration."""

    server: Server = Server()
    logging: Logging = Logging()
    recall: Recall = Recall()
    registration: Registration = Registration()
    ledger: Ledger = Ledger()
    audit: Audit = Audit()
    responses: Responses = Responses()
    backup: Backup = Backup()
    models: Models = Models()
    tiers: Tiers = Tiers()
    profiles: dict[str, dict[str, Any]] = {}
    """`[profiles.<name>]`: added or changed rows of `shared/profiles.toml`."""

    upstreams: tuple[Upstream, ...] = ()
    database_url: str = "sqlite:data/adapter.db?mode=rwc"
    jwt_secret: str = ""
    """`JWT_SECRET`; empty: derived from the secret in the data directory."""

    admin_password: str = ""
    """`ADMIN_PASSWORD`: the password of the account `admin` when it is created."""

    auth_token: str = ""
    """`ANTHROPIC_AUTH_TOKEN` of AzureGptProxy: a key that the first admin has too."""

    config_path: str = "./config.toml"

    @cached_property
    def known_profiles(self) -> Profiles:
        """Every reasoning profile, those of the configuration included."""
        return Profiles(self.profiles)

    def profile_of(self, upstream: Upstream, model: str) -> Profile:
        """Return the profile of a model, by its name at the upstream."""
        return self.decided_profile(upstream, model)[0]

    def decided_profile(self, upstream: Upstream, model: str) -> tuple[Profile, Decided]:
        """Return the profile of a model, and what it was chosen by."""
        return self.known_profiles.decide(
            name=upstream.profile, api=upstream.api, host=upstream.host, model=model
        )
