"""What about an installation is less safe than it could be, in sentences for its operator."""

import os
import stat
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from manage_api.addresses import base_url, is_public, unresolved
from shared.config.address import is_loopback, split_address
from shared.config.dotenv import read_secrets
from shared.config.schema import Snapshot, Upstream
from shared.errors import ConfigError

__all__ = ("named_risks", "refusal", "risks", "unresolved")


def refusal(snapshot: Snapshot) -> str:
    """Explain why the gateway must not run so; empty when it may."""
    address = snapshot.server.admin_addr
    if is_loopback(split_address(address)[0]):
        return ""
    return (
        f"The sidecar must listen on this machine alone, not on {address}: what protects the "
        "gateway stands in front of it, at LISTEN_ADDR, where its pages are too. Set "
        "ADMIN_LISTEN_ADDR to 127.0.0.1:8788."
    )


def risks(snapshot: Snapshot) -> list[str]:
    """List the risks that the operator took or doesn't know of."""
    return [sentence for _, sentence in named_risks(snapshot)]


def named_risks(snapshot: Snapshot) -> list[tuple[str, str]]:
    """List the same with a name for each; the remedy is what follows the last ": "."""
    found = {
        "encryption": _unencrypted(snapshot),
        "upstream encryption": (
            _in_clear(each) for each in snapshot.upstreams if _is_in_clear(each)
        ),
        "registration": _open_to_strangers(snapshot),
        "file permissions": _readable(Path(snapshot.config_path)),
        "root": _as_root(snapshot),
    }
    return [(name, sentence) for name, sentences in found.items() for sentence in sentences]


def _unencrypted(snapshot: Snapshot) -> Iterator[str]:
    url = urlsplit(base_url(snapshot))
    listener = split_address(snapshot.server.listen_addr)[0]
    if url.scheme == "https":
        return
    if is_public(url.hostname or "") or not is_loopback(listener):
        yield (
            "Keys and passwords cross the network unencrypted: put TLS in front and set "
            "PUBLIC_URL (docs/operating.md)."
        )


def _is_in_clear(upstream: Upstream) -> bool:
    return upstream.scheme == "http" and is_public(upstream.host)


def _in_clear(upstream: Upstream) -> str:
    return (
        f"The keys of upstream {upstream.name} and everything that is asked there cross the "
        "Internet unencrypted: use https:// in its base_url."
    )


def _open_to_strangers(snapshot: Snapshot) -> Iterator[str]:
    rules = snapshot.registration
    if not (rules.allowed and snapshot.server.is_exposed) or rules.invite_codes:
        return
    sentence = "Anyone who reaches the gateway can register"
    if rules.quota_tokens:
        sentence += f" as often as they like, and use {rules.quota_tokens} tokens each time"
    yield f"{sentence}: set [registration] invite_codes, or ALLOW_REGISTRATION=false."


def _readable(config: Path) -> Iterator[str]:
    for file, holds_secrets in {
        config: _holds_secrets,
        config.with_name(".env"): read_secrets,
    }.items():
        try:
            if file.stat().st_mode & stat.S_IROTH and holds_secrets(file):
                yield f"All users of this machine can read the keys in {file}: run chmod 600 on it."
        except (OSError, ValueError, ConfigError):
            continue  # What can't be read is a problem of the configuration, told as such.


def _holds_secrets(config: Path) -> bool:
    tree: dict[str, Any] = tomllib.loads(config.read_bytes().decode("utf-8-sig"))
    upstreams = [*tree.get("upstreams", []), tree.get("upstream", {})]
    secret = {"api_key", "api_keys", "headers"}
    return any(secret & each.keys() for each in upstreams if isinstance(each, dict)) or bool(
        tree.get("registration", {}).get("invite_codes")
    )


def _as_root(snapshot: Snapshot) -> Iterator[str]:
    if os.geteuid() == 0 and snapshot.server.is_exposed:
        yield (
            "Thinkback runs as root: give it an account of its own, so that a fault in it is "
            "none of the whole machine (docs/operating.md)."
        )
