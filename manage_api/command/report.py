"""What the launcher and `thinkback check` print, as plain text."""

import textwrap
from collections.abc import Iterable
from urllib.parse import urljoin, urlsplit

from manage_api.addresses import base_url, is_public, local_url
from shared.config.schema import Snapshot, Upstream
from shared.profiles import Decided
from shared.security.keys import mask
from shared.store.bootstrap import FirstAccount

__all__ = ("checked", "reachability", "ready")


def web_pages(snapshot: Snapshot) -> str:
    """Where a browser on this machine finds the sidecar's pages."""
    server = snapshot.server
    return local_url(server.listen_addr if server.ui == "public" else server.admin_addr) + "/"


def reachability(snapshot: Snapshot) -> str:
    """Why Cursor can't use the base URL; empty when it can."""
    if is_public(urlsplit(base_url(snapshot)).hostname or ""):
        return ""
    return (
        "Cursor's servers, not your computer, call the base URL, and they can't reach "
        "this address: "
        "put a public name in front and set PUBLIC_URL (docs/operating.md). Programs "
        "on this machine can use it."
    )


def exposure(snapshot: Snapshot) -> str:
    """What the base URL gives away; empty when nothing."""
    url = urlsplit(base_url(snapshot))
    if url.scheme == "https" or not is_public(url.hostname or ""):
        return ""
    return (
        "Keys cross the Internet in clear under this base URL: put TLS in front "
        "(docs/operating.md)."
    )


def registration(snapshot: Snapshot) -> str:
    """Who may make an account, and by which setting."""
    if not snapshot.registration.allowed:
        return "closed (ALLOW_REGISTRATION=true opens it)"
    if snapshot.registration.invite_codes:
        return "open to everybody with an invite code"
    return "open to everybody who reaches it (ALLOW_REGISTRATION=false closes it)"


def next_step(snapshot: Snapshot) -> str:
    """What to do before a request can be answered; empty when nothing is missing."""
    if snapshot.upstreams:
        return ""
    return (
        f"No upstream is configured yet: sign in as admin at {web_pages(snapshot)}setup "
        "and add one, "
        "or set UPSTREAM_BASE_URL and UPSTREAM_API_KEY and start again, "
        f"or write [[upstreams]] into {snapshot.config_path} while it runs "
        "(config.example.toml shows how)."
    )


def ready(snapshot: Snapshot, version: str, mitmweb_url: str = "") -> str:
    """The block that says it works and what to do with it."""
    models = dict.fromkeys(model for upstream in snapshot.upstreams for model in _models(upstream))
    rows = {
        "Base URL": base_url(snapshot),
        "Models": ", ".join(models)
        or ("every model of the upstream" if snapshot.upstreams else ""),
        "Upstreams": ", ".join(
            f"{upstream.name} ({upstream.base_url})" for upstream in snapshot.upstreams
        ),
        "Web pages": web_pages(snapshot),
        "mitmweb": mitmweb_url,
    }
    notes = _paragraphs(next_step(snapshot), reachability(snapshot), exposure(snapshot))
    return "\n".join([f"Thinkback {version} is running.", *_rows(rows), *notes])


def first_account(account: FirstAccount) -> str:
    """The secrets of the first account, which are told once."""
    rows = {
        "User": account.username,
        "Password": account.password or "the one in ADMIN_PASSWORD",
        "API key": account.api_key,
    }
    return "\n".join(
        ["The first account was made. Note this, it is not shown again:", *_rows(rows)]
    )


def checked(snapshot: Snapshot) -> str:
    """The configuration as the programs understand it, keys masked."""
    rows = {
        "Configuration": snapshot.config_path,
        "Database": snapshot.database_url,
        "Listens on": snapshot.server.listen_addr,
        "Sidecar": snapshot.server.admin_addr,
        "Base URL": base_url(snapshot),
        "Registration": registration(snapshot),
    }
    upstreams = [
        "",
        *(line for upstream in snapshot.upstreams for line in _upstream(snapshot, upstream)),
    ]
    return "\n".join([*_rows(rows), *upstreams, *_paragraphs(next_step(snapshot))])


def _upstream(snapshot: Snapshot, upstream: Upstream) -> list[str]:
    rows = {
        "endpoint": urljoin(upstream.base_url, upstream.request_path),
        "keys": ", ".join(map(mask, upstream.api_keys)) or "none",
        "models": ", ".join(upstream.models) or "all",
        "rewrites": ", ".join(
            f"{rewrite.source} → {rewrite.to or rewrite.to_template}"
            for rewrite in upstream.model_rewrites
        ),
        "profile": _profiles(snapshot, upstream),
    }
    return [f"Upstream {upstream.name}", *_rows(rows)]


def _profiles(snapshot: Snapshot, upstream: Upstream) -> str:
    """What its models demand of replayed reasoning, and how that was found."""
    targets = (rewrite.to for rewrite in upstream.model_rewrites if rewrite.to)
    found: dict[str, list[str]] = {}
    for model in dict.fromkeys((*upstream.models, *targets)) or [""]:
        profile, by = snapshot.known_profiles.decide(
            name=upstream.profile, api=upstream.api, host=upstream.host, model=model
        )
        found.setdefault(f"{profile.name}, {_FOUND_BY[by]}", []).append(model)
    if len(found) == 1:
        return next(iter(found))
    return "; ".join(f"{', '.join(models)}: {profile}" for profile, models in found.items())


_FOUND_BY: dict[Decided, str] = {
    "api": "by what it speaks",
    "default": "since neither its host nor the model's name is known",
    "host": "by its host",
    "model": "by the model's name",
    "name": "as configured",
}


def _models(upstream: Upstream) -> Iterable[str]:
    yield from (rewrite.from_ for rewrite in upstream.model_rewrites if rewrite.from_)
    yield from upstream.models


def _rows(rows: dict[str, str]) -> list[str]:
    width = max(len(name) for name in rows) + 2
    return [f"  {name:<{width}}{value}" for name, value in rows.items() if value]


def _paragraphs(*texts: str) -> list[str]:
    """Each that isn't empty, wrapped, after an empty line."""
    return ["\n" + textwrap.fill(text, 100) for text in texts if text]
