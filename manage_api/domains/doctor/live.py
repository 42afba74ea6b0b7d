"""The upstreams themselves, asked for answers: that costs a few tokens."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterator

import httpx
import msgspec

from manage_api.domains.doctor.cursor import MODES, Chat, ChatError
from manage_api.domains.doctor.door import Door
from manage_api.domains.doctor.findings import Finding, fault, ok, warning
from manage_api.domains.doctor.installation import Installation
from manage_api.domains.upstreams.outbound import OutboundError
from manage_api.domains.upstreams.probe import probe, trust
from shared.config.schema import Upstream
from shared.doctor import issue_token
from shared.routes import known_models
from shared.security.keys import digest, mask
from shared.store.engine import Engine
from shared.store.ledger import ENTRY_COLUMNS, Entry, entry_from
from shared.store.reports import read_details

__all__ = ("check_live",)

_SECONDS = 60.0
"""A model that thinks takes its time for the first token."""

_MAX_TURNS = 4
_LATELY = 200
"""Rows of the ledger among which the conversation's last one is."""

_LOOKS = 20
_LOOK_SECONDS = 0.1
"""A row is written when its answer ends, or a moment later."""


async def check_live(installation: Installation, door: Door) -> AsyncIterator[Finding]:
    """Ask each key for an answer of one token, and lead a conversation with the first that
    gives one.
    """
    works: tuple[Upstream, str, str] | None = None
    for upstream in installation.snapshot.upstreams:
        model = await _model_of(installation, upstream)
        if not model:
            yield warning(
                f"live {upstream.name}",
                "It lists no models and none is configured: nothing can be asked.",
                "Name a model in its models.",
            )
            continue
        for key in upstream.api_keys or ("",):
            finding = await _ask(installation, door, upstream, key, model)
            yield finding
            if finding.verdict == "ok" and not works:
                works = upstream, key, model
    if works:
        yield await _talk(installation, door, *works)


async def _model_of(installation: Installation, upstream: Upstream) -> str:
    """Return a model that clients may ask it for; empty when none is known."""
    if named := known_models([upstream]):
        return named[0]
    guarded = upstream.guarded and not installation.snapshot.server.allow_private_upstreams
    try:
        tls = await asyncio.to_thread(trust)
    except OutboundError:
        return ""
    report = await probe(upstream, guarded=guarded, tls=tls, clock=installation.clock)
    return next(iter(report.models), "")


async def _ask(
    installation: Installation, door: Door, upstream: Upstream, key: str, model: str
) -> Finding:
    """Ask for one token, through the gateway, which knows how the upstream is spoken to."""
    check, whose = f"live {upstream.name}", f"Key {mask(key)}" if key else "Without a key it"
    body = {"model": model, "max_tokens": 1, "messages": [{"role": "user", "content": "Hi."}]}
    headers = {
        "Authorization": f"Bearer {_token(installation, upstream, key)}",
        "Content-Type": "application/json",
    }
    try:
        answer = await door.ask(
            "POST",
            "/v1/chat/completions",
            headers=headers,
            content=msgspec.json.encode(body),
            seconds=_SECONDS,
        )
    except httpx.HTTPError as error:
        return fault(
            check,
            f"{whose} got no answer of {model} ({type(error).__name__}).",
            "See the gateway's log, and the provider's status page.",
        )
    if answer.status_code == 200:
        return ok(check, f"{whose} got an answer of {model}.")
    return fault(
        check,
        f"{whose} got no answer of {model}: {_message(answer)}",
        "Do what the upstream says: another key, credit, or another model in its models.",
    )


async def _talk(
    installation: Installation, door: Door, upstream: Upstream, key: str, model: str
) -> Finding:
    """Lead a conversation with tools, and read in the ledger what came of its turns."""
    agent = f"thinkback-doctor/{secrets.token_hex(8)}"
    token = _token(installation, upstream, key)
    chat = Chat(door, token, mode=MODES[1], model=model, agent=agent)
    chat.say(
        "Call the tool Read for README.md, then for LICENSE, then say in a word what is there."
    )
    try:
        for _ in range(_MAX_TURNS):
            if not (await chat.ask()).calls:
                chat.say("Call the tool Read for CHANGELOG.md, too.")
    except ChatError as error:
        return fault(
            "Cursor live",
            f"The conversation with {model} at {upstream.name} ended: {error}.",
            "See the request on the page Requests, and its upstream's answer there.",
        )
    entry = await _entry(installation.store, agent)
    if entry is None:
        return fault(
            "Cursor live",
            "The conversation is not in the ledger.",
            "See the log: the database may not be writable, or another gateway answered.",
        )
    return _judge(entry, f"{model} at {upstream.name}")


def _judge(entry: Entry, whose: str) -> Finding:
    """Report what became of the replayed turns of a request."""
    turns = sorted(read_details(entry).turns, key=lambda note: note.turn)
    told = ", ".join(f"turn {note.turn}: {note.rule or note.why}" for note in turns)
    if entry.missing:
        return fault(
            "Cursor live",
            f"With {whose}, reasoning did not come back: {told}.",
            "See the request on the page Requests: it says how each turn was looked for.",
        )
    if not entry.restored:
        return ok("Cursor live", f"{whose} gave no reasoning that had to come back.")
    return ok("Cursor live", f"With {whose}, reasoning came back: {told}.")


async def _entry(store: Engine, agent: str) -> Entry | None:
    """Return the ledger's last row of the conversation, once it is there."""
    for _ in range(_LOOKS):
        if found := next(_entries(store, agent), None):
            return found
        await asyncio.sleep(_LOOK_SECONDS)
    return None


def _entries(store: Engine, agent: str) -> Iterator[Entry]:
    rows = store.read(
        f"SELECT {ENTRY_COLUMNS} FROM (SELECT * FROM ledger ORDER BY id DESC LIMIT {_LATELY}) "  # noqa: S608
        "WHERE user_agent LIKE :agent ORDER BY at DESC",
        {"agent": f"%{agent}"},
    )
    return map(entry_from, rows)


def _token(installation: Installation, upstream: Upstream, key: str) -> str:
    now = installation.clock.now_ms() // 1000
    return issue_token(installation.secret, now=now, upstream=upstream.name, key=digest(key))


def _message(answer: httpx.Response) -> str:
    try:
        message = msgspec.json.decode(answer.content)["error"]["message"]
    except (msgspec.DecodeError, KeyError, TypeError):
        return f"status {answer.status_code}."
    return f"{answer.status_code}, {str(message)[:300]}"
