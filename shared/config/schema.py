"""Every setting with its default, as frozen structs: one `Snapshot` is one view of the configuration."""

import re
from functools import cached_property
from typing import Literal
from urllib.parse import urlsplit

import msgspec

__all__ = (
    "PROFILE_NAMES",
    "Logging",
    "ModelRewrite",
    "Recall",
    "Registration",
    "Server",
    "Snapshot",
    "Timeouts",
    "Upstream",
)

PROFILE_NAMES = (
    "deepseek-v4",
    "deepseek-legacy",
    "deepseek-r1",
    "mimo",
    "kimi",
    "glm",
    "qwen",
    "vllm",
    "field-generic",
    "none",
)
"""The built-in reasoning profiles (`addon/reasoning/profiles.toml`)."""


class Server(msgspec.Struct, frozen=True, kw_only=True):
    """`[server]`: where the programs listen and whom they believe."""

    listen_addr: str = "127.0.0.1:8787"
    admin_addr: str = "127.0.0.1:8788"
    public_url: str = ""
    ui: Literal["public", "local"] = "public"
    trusted_proxies: tuple[str, ...] = ("127.0.0.1", "::1")
    """Addresses or networks whose `X-Forwarded-For` is believed."""

    max_body_mib: int = 32
    allow_private_upstreams: bool = False
    allow_upstream_keys: bool = True


class Logging(msgspec.Struct, frozen=True, kw_only=True):
    """`[logging]`: how much is said, and how."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    color: Literal["auto", "always", "never"] = "auto"
    body_max_chars: int = 4096
    message_max_chars: int = 2000


class Recall(msgspec.Struct, frozen=True, kw_only=True):
    """`[recall]`: how long and how much reasoning is remembered."""

    max_age_days: int = 30
    max_mib: int = 1024
    memory_mib: int = 64
    """Bound of the in-process front of the table."""


class Registration(msgspec.Struct, frozen=True, kw_only=True):
    """`[registration]`: who may make an account."""

    allowed: bool = True
    quota_tokens: int = 0
    invite_codes: tuple[str, ...] = ()


class Timeouts(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds; 0 means no limit."""

    connect: float = 10
    first_byte: float = 300
    idle: float = 300
    total: float = 0


class ModelRewrite(msgspec.Struct, frozen=True, kw_only=True, rename={"from_": "from"}):
    """`[[upstreams.model_rewrites]]`: either `from`/`to`, or `from_pattern`/`to_template` with `{1}` groups."""

    from_: str = ""
    to: str = ""
    from_pattern: str = ""
    to_template: str = ""

    @property
    def source(self) -> str:
        """What is matched, for messages and the log."""
        return self.from_ or self.from_pattern


class Upstream(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """`[[upstreams]]`: a provider's endpoint, its keys and its models."""

    name: str
    base_url: str
    api_keys: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    """Empty: every model."""

    path: str = ""
    """Appended to `base_url`; empty: see `chat_path`."""

    model_rewrites: tuple[ModelRewrite, ...] = ()
    profile: str = ""
    """A name of `PROFILE_NAMES`; empty: found by host, then model."""

    headers: dict[str, str] = {}
    timeouts: Timeouts = Timeouts()

    @cached_property
    def scheme(self) -> str:
        return urlsplit(self.base_url).scheme

    @cached_property
    def host(self) -> str:
        return urlsplit(self.base_url).hostname or ""

    @cached_property
    def port(self) -> int:
        return urlsplit(self.base_url).port or (443 if self.scheme == "https" else 80)

    @cached_property
    def chat_path(self) -> str:
        """A bare origin gets `/v1/chat/completions`, a base with a path gets `/chat/completions` after it."""
        base = urlsplit(self.base_url).path.rstrip("/")
        suffix = self.path or ("/chat/completions" if base else "/v1/chat/completions")
        return base + suffix

    @cached_property
    def patterns(self) -> tuple[re.Pattern[str] | None, ...]:
        """The rewrites' patterns, compiled; None where a rewrite is exact."""
        return tuple(
            re.compile(rewrite.from_pattern) if rewrite.from_pattern else None for rewrite in self.model_rewrites
        )


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """One immutable view of the whole configuration."""

    server: Server = Server()
    logging: Logging = Logging()
    recall: Recall = Recall()
    registration: Registration = Registration()
    upstreams: tuple[Upstream, ...] = ()
    database_url: str = "sqlite:data/adapter.db?mode=rwc"
    jwt_secret: str = ""
    """`JWT_SECRET`; empty: derived from the secret in the data directory."""

    admin_password: str = ""
    """`ADMIN_PASSWORD`; used when the account `admin` is first made."""

    config_path: str = "./config.toml"
