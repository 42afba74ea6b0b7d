"""Requests an upstream's list of models with each of its keys, and reports the results."""

import asyncio
import ssl
from urllib.parse import quote, urlsplit

import msgspec
from msgspec.structs import replace

from manage_api.domains.upstreams.outbound import Answer, OutboundError, fetch, tls_context
from manage_api.domains.upstreams.schemas import KeyReport, UpstreamReport
from shared.clock import Clock
from shared.config.mitm import find_mitm, load_mitm
from shared.config.schema import Upstream
from shared.errors import ConfigError
from shared.security.keys import mask

__all__ = ("probe", "trust")

_CONCURRENCY = 8
"""Keys tried at a time: an upstream with a hundred keys is no reason to flood it."""

_MAX_MODELS = 2048
_MAX_NAME = 256
"""As many models, and characters in a name, as an upstream can be configured with."""

_MAX_PAGE = 1000
"""Of Anthropic's list, which otherwise has 20 models."""


class _Model(msgspec.Struct):
    id: str


class _Models(msgspec.Struct):
    """The response of `GET /models`: what OpenAI's and Anthropic's have in common.

    https://platform.openai.com/docs/api-reference/models,
    https://platform.claude.com/docs/en/api/models/list
    """

    data: list[_Model]


class _Trial(msgspec.Struct, frozen=True):
    """The result of trying one key."""

    report: KeyReport
    models: list[str] = []


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
    started = clock.monotonic()
    status: int | None = None
    models: list[str] = []
    try:
        answer = await fetch(
            upstream, _target(upstream), _headers(upstream, key), guarded=guarded, tls=tls
        )
        status = answer.status
        works, message, models = _judge(answer, key)
    except OutboundError as error:
        works, message = False, str(error)
    latency_ms = round((clock.monotonic() - started) * 1000)
    report = KeyReport(key="", works=works, status=status, latency_ms=latency_ms, message=message)
    if key:
        report = replace(report, key=mask(key))
    return _Trial(report, models)


def _target(upstream: Upstream) -> str:
    """Return the list's path beside the requests' path; above Azure's deployments."""
    is_messages = upstream.api == "messages"
    if not is_messages:
        # The path of Chat Completions has two parts, that of Responses one after the same base.
        upstream = replace(upstream, api="responses")
    sibling = replace(upstream, path="").request_path
    path = sibling.rpartition("/")[0].partition("/deployments/")[0] + "/models"
    if upstream.version:
        return f"{path}?api-version={quote(upstream.version)}"
    if is_messages:
        return f"{path}?limit={_MAX_PAGE}"
    return path


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


def _judge(answer: Answer, key: str) -> tuple[bool, str, list[str]]:
    """Return whether it works, a message, and the models.

    Of what the upstream wrote, only the models' names are shown.
    """
    if answer.status != 200:
        return False, _words(answer.status, key), []
    try:
        data = msgspec.json.decode(answer.body, type=_Models).data
    except msgspec.ValidationError:
        return False, "The response is not a list of models: check base_url.", []
    except (ValueError, RecursionError):
        return False, "The response is not JSON: base_url may lead to a web page.", []
    names = [model.id for model in data if model.id.isprintable() and len(model.id) <= _MAX_NAME]
    models = list(dict.fromkeys(names))[:_MAX_MODELS]
    return True, f"It works and lists {len(models)} models.", models


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
