"""Requests an upstream's list of models with each of its keys, and reports the results."""

import asyncio
import re
import ssl
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Annotated
from urllib.parse import quote, urlencode, urlsplit

import msgspec
from msgspec.structs import replace

from manage_api.domains.upstreams.outbound import Answer, OutboundError, fetch, tls_context
from manage_api.domains.upstreams.schemas import KeyReport, UpstreamReport
from shared.clock import Clock
from shared.config.mitm import find_mitm, load_mitm
from shared.config.schema import Snapshot, Upstream
from shared.errors import ConfigError
from shared.security.keys import mask

__all__ = ("count_models", "fault_of", "probe", "probe_all", "trust")

_CONCURRENCY = 8
"""Keys tried at a time: an upstream with a hundred keys is no reason to flood it."""

_MAX_KEYS_NAMED = 3
"""In a sentence about keys that fail."""

_MAX_MODELS = 2048
_MAX_NAME = 256
"""As many models, and characters in a name, as an upstream can be configured with."""

_MAX_PAGE = 1000
"""Of Anthropic's list, which otherwise has 20 models."""

_MAX_PAGES = 4
"""More than `_MAX_MODELS` names."""

_PREFIX = "models/"
"""Gemini lists `models/gemini-…`, and everybody requests `gemini-…`
(https://ai.google.dev/gemini-api/docs/openai).
"""


_NO_CHAT = re.compile(
    "embed|rerank|moderation|whisper|transcri|tts|speech|audio|realtime|image|dall-e|sora|veo|ocr",
    re.IGNORECASE,
)
"""Lists seldom say what a model does: these are words in the names of OpenAI's, Google's,
Mistral's and Alibaba's models for other endpoints.
"""


class _Model(msgspec.Struct):
    id: str


class _Models(msgspec.Struct):
    """The response of `GET /models`: what OpenAI's and Anthropic's have in common.

    https://platform.openai.com/docs/api-reference/models,
    https://platform.claude.com/docs/en/api/models/list; null: Ollama without a model.
    """

    data: list[_Model] | None
    has_more: bool | None = False
    last_id: str | None = None


type _Bare = Annotated[list[_Model], msgspec.Meta(min_length=1)]
"""Together's response (https://docs.together.ai/reference/models)."""


class _Page(msgspec.Struct, frozen=True):
    """What one response says, or all pages together."""

    fault: str = ""
    """Why it is no list; empty: it is one."""

    models: list[str] = []
    after: str = ""
    """The model that the next page follows; empty: this is the last page."""


class _Trial(msgspec.Struct, frozen=True):
    """The result of trying one key."""

    report: KeyReport
    models: list[str] = []


def count_models(models: Sequence[str]) -> str:
    """Say how many there are, like `1 model`."""
    if len(models) == 1:
        return "1 model"
    return f"{len(models)} models"


def trust() -> ssl.SSLContext:
    """Trust upstreams as the data plane does; raises OutboundError if files can't be read."""
    try:
        return tls_context(load_mitm(find_mitm()).options)
    except (ConfigError, OSError):
        raise OutboundError(
            "Can't read the certificates that mitm.toml names for upstreams."
        ) from None


async def probe(
    upstream: Upstream, *, guarded: bool, tls: ssl.SSLContext, clock: Clock
) -> UpstreamReport:
    """Try every key, or only the first if the upstream does not respond at all."""
    first, *others = upstream.api_keys or ("",)
    gate = asyncio.Semaphore(_CONCURRENCY)

    async def attempt(key: str) -> _Trial:
        async with gate:
            return await _try(upstream, key, guarded=guarded, tls=tls, clock=clock)

    trials = [await attempt(first)]
    if trials[0].report.status is None:
        trials += [_Trial(replace(trials[0].report, key=mask(key))) for key in others]
    else:
        trials += await asyncio.gather(*map(attempt, others))
    return _summary(trials)


async def probe_all(snapshot: Snapshot, clock: Clock) -> dict[str, UpstreamReport]:
    """Try every key of every upstream; return the reports by name. Raises OutboundError.

    Nobody is asked where `[models] refresh_seconds` is 0.
    """
    if not snapshot.models.refresh_seconds:
        return {}
    tls, gate = await asyncio.to_thread(trust), asyncio.Semaphore(_CONCURRENCY)

    async def one(upstream: Upstream) -> UpstreamReport:
        guarded = upstream.guarded and not snapshot.server.allow_private_upstreams
        async with gate:
            return await probe(upstream, guarded=guarded, tls=tls, clock=clock)

    reports = await asyncio.gather(*map(one, snapshot.upstreams))
    return {each.name: report for each, report in zip(snapshot.upstreams, reports, strict=True)}


def fault_of(report: UpstreamReport) -> str:
    """Say what is wrong in a sentence or some; empty when every key works."""
    if report.works:
        return ""
    if len({key.message for key in report.keys}) == 1:
        return report.keys[0].message
    return " ".join(_failing(report.keys))


def _failing(keys: list[KeyReport]) -> Iterator[str]:
    failing = [key for key in keys if not key.works]
    for key in failing[:_MAX_KEYS_NAMED]:
        yield f"Key {key.key}: {key.message}"
    if len(failing) > _MAX_KEYS_NAMED:
        yield f"{len(failing) - _MAX_KEYS_NAMED} more of its keys don't work."


def _summary(trials: list[_Trial]) -> UpstreamReport:
    reports = [trial.report for trial in trials]
    working = [report for report in reports if report.works]
    message = f"{len(working)} of {len(reports)} keys work."
    if len({report.message for report in reports}) == 1:
        message = reports[0].message
    return UpstreamReport(
        works=len(working) == len(reports),
        message=message,
        models=next((trial.models for trial in trials if trial.report.works), []),
        keys=reports,
    )


async def _try(
    upstream: Upstream, key: str, *, guarded: bool, tls: ssl.SSLContext, clock: Clock
) -> _Trial:
    async def ask(after: str) -> Answer:
        target, headers = _target(upstream, after), _headers(upstream, key)
        return await fetch(upstream, target, headers, guarded=guarded, tls=tls)

    started = clock.monotonic()
    status: int | None = None
    try:
        status, page = await _all_pages(ask, key)
    except OutboundError as error:
        page = _Page(fault=str(error))
    report = KeyReport(
        key="",
        works=not page.fault,
        status=status,
        latency_ms=round((clock.monotonic() - started) * 1000),
        message=page.fault or f"It works and lists {count_models(page.models)}.",
    )
    if key:
        report = replace(report, key=mask(key))
    return _Trial(report, page.models)


async def _all_pages(ask: Callable[[str], Awaitable[Answer]], key: str) -> tuple[int, _Page]:
    """Request page after page; return the last status, and what all of them say."""
    page, models = _Page(), list[str]()
    for _ in range(_MAX_PAGES):
        answer = await ask(page.after)
        page = _judge(answer, key)
        models += page.models
        if not page.after:
            break
    if page.fault:
        return answer.status, page
    return answer.status, _Page(models=_shown(models))


def _target(upstream: Upstream, after: str) -> str:
    """Return the list's path beside the requests' path; above Azure's deployments.

    Only Anthropic's has pages, which follow the model `after`.
    """
    is_messages = upstream.api == "messages"
    if not is_messages:
        # The path of Chat Completions has two parts, that of Responses one after the same base.
        upstream = replace(upstream, api="responses")
    sibling = replace(upstream, path="").request_path
    path = sibling.rpartition("/")[0].partition("/deployments/")[0] + "/models"
    if upstream.version:
        return f"{path}?api-version={quote(upstream.version)}"
    if not is_messages:
        return path
    query = {"limit": str(_MAX_PAGE)}
    if after:
        query["after_id"] = after
    return f"{path}?{urlencode(query)}"


def _headers(upstream: Upstream, key: str) -> list[tuple[str, str]]:
    """Build the headers as the data plane does: the upstream's own win."""
    ours = {
        "host": urlsplit(upstream.base_url).netloc,
        "accept": "application/json",
        "accept-encoding": "identity",
        "connection": "close",
        "user-agent": "thinkback",
    }
    if upstream.api == "messages":
        ours["anthropic-version"] = "2023-06-01"
    if key:
        name, before = upstream.key_header
        ours[name] = before + key
    own = {name.lower(): text for name, text in upstream.headers.items()}
    return list((ours | own).items())


def _judge(answer: Answer, key: str) -> _Page:
    """Read a response; of what the upstream wrote, only the models' names are shown."""
    if answer.status != 200:
        return _Page(fault=_words(answer.status, key))
    try:
        listed = msgspec.json.decode(answer.body, type=_Models | _Bare)
    except msgspec.ValidationError:
        return _Page(fault="The response is not a list of models: check base_url.")
    except (ValueError, RecursionError):
        return _Page(fault="The response is not JSON: base_url may lead to a web page.")
    if isinstance(listed, list):
        return _Page(models=[model.id for model in listed])
    names, after = [model.id for model in listed.data or ()], ""
    if listed.has_more:
        after = listed.last_id or ""
    return _Page(models=names, after=after)


def _shown(names: list[str]) -> list[str]:
    """Return the names as clients request them, without those that can't be shown.

    What probably takes part in no conversation comes last: instructions show the first ones.
    """
    if all(name.startswith(_PREFIX) for name in names):
        names = [name.removeprefix(_PREFIX) for name in names]
    fit = (name for name in names if name and name.isprintable() and len(name) <= _MAX_NAME)
    return sorted(dict.fromkeys(fit), key=_is_no_chat)[:_MAX_MODELS]


def _is_no_chat(name: str) -> bool:
    return _NO_CHAT.search(name) is not None


def _words(status: int, key: str) -> str:
    match status:
        case 401 | 403 if key:
            return f"The upstream rejects this key ({status})."
        case 401 | 403:
            return f"The upstream requires a key ({status})."
        case 402:
            return "This key's account has no credit left (402)."
        case 404 | 405:
            return (
                f"There is no list of models at this address ({status}): check the path in "
                "base_url. A few providers have no such list."
            )
        case 429:
            return "The upstream's rate limit for this key was reached (429)."
        case _ if status < 400:
            return (
                f"The upstream redirects to another address ({status}), which is never followed: "
                "correct base_url."
            )
        case _ if status >= 500:
            return f"The upstream failed internally ({status})."
    return f"The upstream answered with an error ({status})."
