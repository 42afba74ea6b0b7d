"""The plain text that the launcher and `thinkback check` print."""

import shutil
import sys
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from manage_api.addresses import base_url, is_public, lan_urls, local_url
from manage_api.command.child import tell
from manage_api.command.daemon import RUNNING
from manage_api.command.workers import wanted
from manage_api.domains.doctor.configuration import models_by_profile
from manage_api.domains.system.risks import risks, unresolved
from manage_api.domains.upstreams.probe import fault_of
from manage_api.domains.upstreams.schemas import UpstreamReport
from shared.config.address import without_password
from shared.config.schema import Snapshot, Upstream
from shared.routes import known_models
from shared.security.keys import mask
from shared.store.bootstrap import FirstAccount

__all__ = (
    "checked",
    "checked_fields",
    "faults",
    "reachability",
    "ready",
    "tell",
    "tunnel",
)

type Listed = Mapping[str, Sequence[str]]
"""What upstreams list as their models, by upstream."""

_NOTHING: Listed = {}
_UNTRIED: Mapping[str, UpstreamReport] = {}

_MAX_NAMED = 20
"""Models that a line names: a provider may have hundreds."""


def web_pages(snapshot: Snapshot) -> str:
    """Return the URL of the web pages for a browser on this machine."""
    server = snapshot.server
    addresses = {"public": server.listen_addr, "local": server.admin_addr}
    return local_url(addresses[server.ui]) + "/"


def reachability(snapshot: Snapshot) -> str:
    """Explain why Cursor can't use the base URL; empty when it can."""
    if is_public(urlsplit(base_url(snapshot)).hostname or ""):
        return ""
    return (
        "Programs on this machine can use this base URL. Cursor can't: the calls come from its "
        f"servers, not from your computer. Open a tunnel (`{command()} tunnel`), or put a reverse "
        "proxy without response buffering in front and set PUBLIC_URL (docs/operating.md)."
    )


def command() -> str:
    """Return what runs this program from here: its name, or its path where PATH lacks it, as in
    a checkout.
    """
    program = Path(sys.executable).with_name("thinkback")
    if shutil.which(program.name) or not program.exists():
        return program.name
    if program.is_relative_to(Path.cwd()):
        program = program.relative_to(Path.cwd())
    return str(program)


def registration(snapshot: Snapshot) -> str:
    """Say who may create an account, and by which setting."""
    if not snapshot.registration.allowed:
        return "closed (ALLOW_REGISTRATION=true opens it)"
    if snapshot.registration.invite_codes:
        return "open to anyone with an invite code"
    return "open to anyone who reaches the gateway (ALLOW_REGISTRATION=false closes it)"


def next_step(snapshot: Snapshot) -> str:
    """Say what to do before requests can be answered; empty when nothing is missing."""
    if snapshot.upstreams:
        return ""
    return (
        f"No upstream is configured yet. Sign in as admin at {web_pages(snapshot)}setup and add "
        f"one, or add [[upstreams]] to {snapshot.config_path} (see config.example.toml), or set "
        "UPSTREAM_BASE_URL and UPSTREAM_API_KEY and restart."
    )


def ready(
    snapshot: Snapshot,
    version: str,
    mitmweb_url: str = "",
    *,
    tunnelled: bool = False,
    listed: Listed = _NOTHING,
) -> str:
    """Return the block that says the gateway works and how to use it; `listed` is what the
    upstreams have listed before.
    """
    rows = {
        "Base URL": base_url(snapshot),
        "LAN URLs": ", ".join(f"{url}/v1" for url in lan_urls(snapshot.server.listen_addr)),
        "Models": _models(snapshot, listed),
        "Upstreams": ", ".join(
            f"{upstream.name} ({upstream.base_url})" for upstream in snapshot.upstreams
        ),
        "Web pages": web_pages(snapshot),
        "Workers": _workers(snapshot, mitmweb_url),
        "mitmweb": mitmweb_url,
    }
    reach = reachability(snapshot)
    if tunnelled and reach:
        reach = "A tunnel is being opened: the address for Cursor follows."
    notes = _paragraphs(next_step(snapshot), reach, *risks(snapshot))
    return "\n".join([f"Thinkback {version} {RUNNING}", *_rows(rows), *notes])


def tunnel(snapshot: Snapshot, program: str, note: str, listed: Listed = _NOTHING) -> str:
    """Return what to enter in Cursor, once a tunnel's address is the public one; `listed` as
    for `ready`.
    """
    rows = {
        "Base URL": base_url(snapshot),
        "API key": "a virtual key, sk-…: the one shown at the first start, or another from the "
        "dashboard",
        "Model": _models(snapshot, listed) or "none yet: add an upstream",
    }
    head = f"The tunnel ({program}) is open. In Cursor, under Settings → Models, enter:"
    return "\n".join([head, *_rows(rows), *_paragraphs(note, *risks(snapshot))])


def first_account(account: FirstAccount) -> str:
    """Return the secrets of the first account, which are shown once."""
    rows = {
        "User": account.username,
        "Password": account.password or "the one in ADMIN_PASSWORD",
        "API key": account.api_key,
    }
    head = "Created the first account. Save this now; it will not be shown again:"
    return "\n".join([head, *_rows(rows)])


def faults(tried: Mapping[str, UpstreamReport]) -> list[str]:
    """Say what is wrong with upstreams, as their test found."""
    found = {name: fault_of(outcome) for name, outcome in tried.items()}
    return [f"Upstream {name}: {fault}" for name, fault in found.items() if fault]


def checked(
    snapshot: Snapshot,
    tried: Mapping[str, UpstreamReport] = _UNTRIED,
    others: Sequence[str] = (),
) -> str:
    """Return the configuration in force, with keys masked, what a test of the upstreams has found,
    by their names, and what is to be said of other nodes.
    """
    rows = {
        "Configuration": snapshot.config_path,
        "Database": without_password(snapshot.database_url),
        "Listens on": snapshot.server.listen_addr,
        "Sidecar": snapshot.server.admin_addr,
        "Base URL": base_url(snapshot),
        "Registration": registration(snapshot),
    }
    upstreams = [
        "",
        *(line for upstream in snapshot.upstreams for line in _upstream(snapshot, upstream, tried)),
    ]
    return "\n".join([*_rows(rows), *upstreams, *_paragraphs(*others, *_notes(snapshot, tried))])


def checked_fields(
    snapshot: Snapshot,
    tried: Mapping[str, UpstreamReport] = _UNTRIED,
    others: Sequence[str] = (),
) -> dict[str, Any]:
    """Return for programs what `checked` tells people."""
    return {
        "configuration": snapshot.config_path,
        "database": without_password(snapshot.database_url),
        "listen_addr": snapshot.server.listen_addr,
        "admin_addr": snapshot.server.admin_addr,
        "base_url": base_url(snapshot),
        "registration": registration(snapshot),
        "upstreams": [_upstream_fields(snapshot, each, tried) for each in snapshot.upstreams],
        "notes": [*others, *_notes(snapshot, tried)],
    }


def _upstream_fields(
    snapshot: Snapshot, upstream: Upstream, tried: Mapping[str, UpstreamReport]
) -> dict[str, Any]:
    return {
        "name": upstream.name,
        "endpoint": upstream.endpoint,
        "keys": list(map(mask, upstream.api_keys)),
        "models": upstream.models,
        "rewrites": upstream.model_rewrites,
        "profiles": models_by_profile(snapshot, upstream),
        "test": tried.get(upstream.name),
    }


def _notes(snapshot: Snapshot, tried: Mapping[str, UpstreamReport]) -> list[str]:
    untried = [upstream for upstream in snapshot.upstreams if upstream.name not in tried]
    notes = (next_step(snapshot), *risks(snapshot), *unresolved(untried))
    return [note for note in notes if note]


def _workers(snapshot: Snapshot, mitmweb_url: str) -> str:
    """How many data planes run, when those are several."""
    workers = wanted(snapshot.server, web=bool(mitmweb_url))
    return str(workers) if workers > 1 else ""


def _models(snapshot: Snapshot, listed: Listed = _NOTHING) -> str:
    models = known_models(snapshot.upstreams, listed)
    if snapshot.upstreams and not models:
        return "every model of the upstream"
    return _some(models)


def _some(models: Sequence[str]) -> str:
    if len(models) > _MAX_NAMED:
        return f"{', '.join(models[:_MAX_NAMED])} and {len(models) - _MAX_NAMED} more"
    return ", ".join(models)


def _upstream(
    snapshot: Snapshot, upstream: Upstream, tried: Mapping[str, UpstreamReport]
) -> list[str]:
    rows = {
        "endpoint": upstream.endpoint,
        "keys": ", ".join(map(mask, upstream.api_keys)) or "none",
        "models": ", ".join(upstream.models) or "all",
        "rewrites": ", ".join(
            f"{rewrite.source} → {rewrite.to or rewrite.to_template}"
            for rewrite in upstream.model_rewrites
        ),
        "profile": _profiles(snapshot, upstream),
    }
    if outcome := tried.get(upstream.name):
        rows |= {"test": fault_of(outcome) or outcome.message, "lists": _some(outcome.models)}
    return [f"Upstream {upstream.name}", *_rows(rows)]


def _profiles(snapshot: Snapshot, upstream: Upstream) -> str:
    """Name the profile of each model, and what it was chosen by."""
    found = models_by_profile(snapshot, upstream)
    if len(found) == 1:
        return next(iter(found))
    return "; ".join(f"{', '.join(models)}: {text}" for text, models in found.items())


def _rows(rows: dict[str, str]) -> list[str]:
    width = max(len(name) for name in rows) + 2
    return [f"  {name:<{width}}{value}" for name, value in rows.items() if value]


def _paragraphs(*texts: str) -> list[str]:
    """Wrap each text that isn't empty, after an empty line."""
    return ["\n" + textwrap.fill(text, 100, break_on_hyphens=False) for text in texts if text]
