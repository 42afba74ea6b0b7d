"""Asks an upstream for its models, with each of its keys, and says in words what came of it."""

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

_AT_ONCE = 8
_MOST_MODELS = 2048
_LONGEST_NAME = 256
_LONGEST_PAGE = 1000
"""Of Anthropic's list, which else has 20 models."""


class _Model(msgspec.Struct):
    id: str


class _Models(msgspec.Struct):
    """The answer of `GET /models`, as much as OpenAI's and Anthropic's have in common.

    https://platform.openai.com/docs/api-reference/models,
    https://platform.claude.com/docs/en/api/models/list
    """

    data: list[_Model]


class _Trial(msgspec.Struct, frozen=True):
    """What came of one key."""

    report: KeyReport
    models: list[str] = []


def trust() -> ssl.SSLContext:
    """What the data plane trusts upstreams by; reads files. Raises OutboundError when they
    can't be read.
    """
    try:
        return tls_context(load_mitm(find_mitm()).options)
    except (ConfigError, OSError):
        raise OutboundError(
            "The certificates that mitm.toml trusts upstreams by can't be read."
        ) from None


async def probe(
    upstream: Upstream, *, guarded: bool, tls: ssl.SSLContext, clock: Clock
) -> UpstreamReport:
    """Try every key; when the upstream does not even answer the first, the others are not tried."""
    first, *others = upstream.api_keys or ("",)
    gate = asyncio.Semaphore(_AT_ONCE)

    async def tried(key: str) -> _Trial:
        async with gate:
            return await _try(upstream, key, guarded=guarded, tls=tls, clock=clock)

    trials = [await tried(first)]
    if trials[0].report.status is None:
        trials += [_Trial(replace(trials[0].report, key=mask(key))) for key in others]
    else:
        trials += await asyncio.gather(*map(tried, others))
    return _summary(trials)


def _summary(trials: list[_Trial]) -> UpstreamReport:
    reports = [trial.report for trial in trials]
    working = [report for report in reports if report.works]
    alike = len({report.message for report in reports}) == 1
    return UpstreamReport(
        works=len(working) == len(reports),
        message=reports[0].message if alike else f"{len(working)} of {len(reports)} keys work.",
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
    shown = mask(key) if key else ""
    return _Trial(
        KeyReport(key=shown, works=works, status=status, latency_ms=latency_ms, message=message),
        models,
    )


def _target(upstream: Upstream) -> str:
    """Beside where requests go; of Azure's deployments, above them."""
    # The path of Chat Completions has two parts; that of Responses has one, after the same base.
    beside = replace(
        upstream, path="", api="messages" if upstream.api == "messages" else "responses"
    ).request_path
    path = beside.rpartition("/")[0].partition("/deployments/")[0] + "/models"
    if upstream.version:
        return f"{path}?api-version={quote(upstream.version)}"
    return f"{path}?limit={_LONGEST_PAGE}" if upstream.api == "messages" else path


def _headers(upstream: Upstream, key: str) -> list[tuple[str, str]]:
    """As the data plane makes them: the upstream's own win."""
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
    """Whether it works, what to say of it, and the models; nothing the upstream wrote is
    said but their names.
    """
    if answer.status != 200:
        return False, _words(answer.status, key), []
    try:
        found = msgspec.json.decode(answer.body, type=_Models).data
    except msgspec.ValidationError:
        return False, "The answer is not a list of models: check base_url.", []
    except (ValueError, RecursionError):
        return False, "The answer is not JSON: base_url may lead to a web page.", []
    names = [
        model.id for model in found if model.id.isprintable() and len(model.id) <= _LONGEST_NAME
    ]
    models = list(dict.fromkeys(names))[:_MOST_MODELS]
    return True, f"It answers and lists {len(models)} models.", models


def _words(status: int, key: str) -> str:
    match status:
        case 401 | 403:
            return f"The upstream {'refuses this key' if key else 'wants a key'} ({status})."
        case 402:
            return "The account of this key has no credit left (402)."
        case 404 | 405:
            return (
                f"There is no list of models at this address ({status}): check the path "
                "in base_url. "
                "A few providers have no such list."
            )
        case 429:
            return "The upstream wants fewer requests from this key for now (429)."
        case _ if status < 400:
            return (
                f"The upstream points to another address ({status}), which is never "
                "followed: correct base_url."
            )
        case _ if status >= 500:
            return f"The upstream has a fault ({status})."
    return f"The upstream answered with an error ({status})."
