"""What the configuration alone tells, without asking anybody."""

import re
from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

from manage_api.addresses import base_url, is_public
from manage_api.domains.doctor.findings import Finding, fault, ok, warning
from manage_api.domains.system.risks import named_risks
from shared.config.schema import Snapshot, Upstream
from shared.errors import Problem
from shared.profiles import Decided
from shared.routes import known_models

__all__ = (
    "check_any_upstream",
    "check_configuration",
    "check_problems",
    "listed",
    "models_by_profile",
    "served_models",
)

_CHOSEN_BY: dict[Decided, str] = {
    "api": "by its API format",
    "default": "as neither its host nor the model's name is known",
    "host": "by its host",
    "model": "by the model's name",
    "name": "as configured",
}

_MAX_NAMED = 5
"""Names in one sentence: more would not be read."""

_CURSORS_OWN = re.compile(r"(auto|default|composer.*|cursor-.*|grok-.*)", re.IGNORECASE)
"""Names that Cursor keeps for itself, or refuses a key for."""

_DIALECTS = {
    "claude-": "Anthropic's blocks inside Chat Completions",
    "gemini": "a dialect of its own",
    "gpt-": "Responses bodies or custom tools on the chat path",
}
"""What Cursor sends for names that hold these, whoever serves them."""


def check_problems(problems: Sequence[Problem]) -> Iterator[Finding]:
    """Report each setting that is not applied."""
    for problem in problems:
        yield fault(
            "configuration",
            f"{problem}.",
            "Correct it; the last valid value is in force until then.",
        )


def check_configuration(snapshot: Snapshot) -> Iterator[Finding]:
    """Report what the settings in force amount to."""
    for name, sentence in named_risks(snapshot):
        seen, _, remedy = sentence.rpartition(": ")
        find = warning
        if name == "encryption" and snapshot.server.public_url:
            find = fault
        yield find(name, f"{seen}.", _capitalised(remedy))
    yield from _check_address(snapshot)
    yield from _check_catch_all(snapshot.upstreams)
    yield from _check_names(snapshot)
    yield from _check_profiles(snapshot)


def served_models(upstream: Upstream) -> list[str]:
    """List the models that it is configured to be asked for, by their names there."""
    targets = (rewrite.to for rewrite in upstream.model_rewrites if rewrite.to)
    return list(dict.fromkeys((*upstream.models, *targets)))


def models_by_profile(snapshot: Snapshot, upstream: Upstream) -> dict[str, list[str]]:
    """Name the profile of each model with what it was chosen by -> the models that have it."""
    models: dict[str, list[str]] = {}
    for model in served_models(upstream) or [""]:
        profile, by = snapshot.decided_profile(upstream, model)
        models.setdefault(f"{profile.name}, {_CHOSEN_BY[by]}", []).append(model)
    return models


def listed(names: Sequence[str]) -> str:
    """Join the names, and say how many there are beyond the first few."""
    shown = ", ".join(names[:_MAX_NAMED])
    if more := len(names[_MAX_NAMED:]):
        shown += f" and {more} more"
    return shown


def check_any_upstream(snapshot: Snapshot, running: Sequence[Finding]) -> Iterator[Finding]:
    """Report that there is no upstream, unless the programs that run go by another configuration,
    as was found of them.
    """
    if snapshot.upstreams or any(each.check == "configuration" for each in running):
        return
    yield fault(
        "upstreams",
        "No upstream is configured, so no request can be answered.",
        f"Add one on the page Setup, as [[upstreams]] in {snapshot.config_path}, or set "
        "UPSTREAM_BASE_URL and UPSTREAM_API_KEY and restart.",
    )


def _check_address(snapshot: Snapshot) -> Iterator[Finding]:
    """Report whether Cursor's servers could use the address, as it is written."""
    url = base_url(snapshot)
    host = urlsplit(url).hostname or ""
    if is_public(host):
        yield ok("address", f"Clients are told {url}.")
    elif snapshot.server.public_url:
        yield fault(
            "address",
            f"PUBLIC_URL names {host}, which is this machine or a private network: Cursor answers "
            "“Access to private networks is forbidden”.",
            "Set PUBLIC_URL to a name that the Internet resolves, or open a tunnel "
            "(thinkback tunnel).",
        )
    else:
        yield warning(
            "address",
            f"Clients are told {url}, which Cursor can't use: the calls come from its servers, not "
            "from your computer.",
            "Open a tunnel (thinkback tunnel), or put a reverse proxy in front and set PUBLIC_URL.",
        )


def _check_catch_all(upstreams: Sequence[Upstream]) -> Iterator[Finding]:
    """Report upstreams that take every model, and so those that others are there for."""
    for place, upstream in enumerate(upstreams):
        if upstream.models:
            continue
        others = list(dict.fromkeys(known_models(upstreams[place + 1 :])))
        if others:
            yield warning(
                "catch-all",
                f"Upstream {upstream.name} takes every model and stands before the upstreams of "
                f"{listed(others)}: it is asked for those, too, and first.",
                f"List the models of {upstream.name}, or move it behind the others.",
            )
        else:
            yield ok("catch-all", f"Upstream {upstream.name} takes every model that none names.")


def _check_names(snapshot: Snapshot) -> Iterator[Finding]:
    """Report names for which Cursor sends something else than Chat Completions."""
    names = known_models(snapshot.upstreams)
    own = [name for name in names if _CURSORS_OWN.fullmatch(name)]
    if own:
        yield warning(
            "model names",
            f"Cursor keeps names like {listed(own)} for its own models and does not send them "
            "to you.",
            "Give the model a neutral name by a rewrite, like from = "
            '"my-model" (docs/configuration.md).',
        )
    for part, dialect in _DIALECTS.items():
        if found := [name for name in names if part in name.lower()]:
            yield warning(
                "model names",
                f"For names with “{part}”, as in {listed(found)}, Cursor sends {dialect}, and "
                "refuses those that equal a built-in one.",
                "In Cursor, use a neutral name: add a rewrite to the model, like from = "
                '"my-model".',
            )


def _check_profiles(snapshot: Snapshot) -> Iterator[Finding]:
    """Say what each upstream is taken for, and why."""
    for upstream in snapshot.upstreams:
        for chosen, named in models_by_profile(snapshot, upstream).items():
            whose = upstream.name
            if any(named):
                whose += f" ({listed(named)})"
            yield ok("profile", f"Upstream {whose} has the profile {chosen}.")


def _capitalised(text: str) -> str:
    return text[:1].upper() + text[1:]
