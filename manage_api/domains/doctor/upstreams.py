"""Upstreams, each asked for its models with each of its keys."""

import asyncio
from collections.abc import AsyncIterator, Iterator

from manage_api.domains.doctor.configuration import listed, served_models
from manage_api.domains.doctor.findings import Finding, fault, ok, warning
from manage_api.domains.doctor.installation import Installation
from manage_api.domains.doctor.machine import check_skew
from manage_api.domains.upstreams.outbound import OutboundError, fetch
from manage_api.domains.upstreams.probe import count_models, probe, trust
from manage_api.domains.upstreams.schemas import KeyReport, UpstreamReport
from shared.config.schema import Upstream

__all__ = ("check_upstreams",)

_CONCURRENCY = 4
"""Upstreams asked at a time."""

_REMEDIES = {
    401: "Replace the key by a valid one of this provider, and see that base_url is the provider's "
    "that issued it.",
    402: "Top up the account at the provider, or remove the key.",
    403: "Allow the key to use the models at the provider, or replace it.",
    429: "Wait, or add another key: requests go to the next one meanwhile.",
}
_NO_LIST = (404, 405)
"""A few providers have no list of models: whether the key works is known by `--live` alone."""


async def check_upstreams(installation: Installation) -> AsyncIterator[Finding]:
    """Report on each upstream and key, and on the clock by their answers."""
    upstreams = installation.snapshot.upstreams
    if not upstreams:
        return
    try:
        tls = await asyncio.to_thread(trust)
    except OutboundError as error:
        yield fault("upstreams", str(error), "Correct the path in mitm.toml, or remove it.")
        return
    gate = asyncio.Semaphore(_CONCURRENCY)

    async def ask(upstream: Upstream) -> UpstreamReport:
        async with gate:
            guarded = _is_guarded(installation, upstream)
            return await probe(upstream, guarded=guarded, tls=tls, clock=installation.clock)

    reports = await asyncio.gather(*map(ask, upstreams))
    for upstream, report in zip(upstreams, reports, strict=True):
        for finding in _judge(upstream, report):
            yield finding
    answering = [
        upstream
        for upstream, report in zip(upstreams, reports, strict=True)
        if report.keys[0].status is not None
    ]
    for upstream in answering[:1]:
        guarded = _is_guarded(installation, upstream)
        headers = [("host", upstream.host), ("connection", "close")]
        try:
            answer = await fetch(upstream, "/", headers, guarded=guarded, tls=tls)
        except OutboundError:
            return
        for finding in check_skew(answer.date, installation.clock.now_ms(), upstream.host):
            yield finding


def _is_guarded(installation: Installation, upstream: Upstream) -> bool:
    return upstream.guarded and not installation.snapshot.server.allow_private_upstreams


def _judge(upstream: Upstream, report: UpstreamReport) -> Iterator[Finding]:
    check = f"upstream {upstream.name}"
    if report.keys[0].status is None:
        yield fault(check, report.message, "Correct its base_url, or this machine's network.")
        return
    for key in report.keys:
        if not key.works:
            yield _refused(check, key)
    working = [key for key in report.keys if key.works]
    if working:
        keys = f"{len(working)} of {len(report.keys)} keys work"
        yield ok(check, f"{keys}, and it lists {count_models(report.models)}.")
    yield from _check_models(check, upstream, report.models)


def _refused(check: str, key: KeyReport) -> Finding:
    seen = key.message
    if key.key:
        seen = f"Key {key.key}: {seen}"
    status = key.status or 0
    if status in _NO_LIST:
        return warning(
            check,
            seen,
            "Correct base_url, or see by thinkback doctor --live whether it answers all the same.",
        )
    if status == 429:
        return warning(check, seen, _REMEDIES[status])
    if status >= 500:
        return fault(check, seen, "Look at the provider's status page.")
    return fault(check, seen, _REMEDIES.get(status, "Correct its base_url."))


def _check_models(check: str, upstream: Upstream, models: list[str]) -> Iterator[Finding]:
    """Report configured models that the upstream does not list.

    Azure lists models and is asked for deployments.
    """
    if not models or upstream.is_azure:
        return
    known = {model.rpartition("/")[2] for model in models}
    unknown = [model for model in served_models(upstream) if model.rpartition("/")[2] not in known]
    if unknown:
        yield warning(
            check,
            f"It does not list {listed(unknown)}.",
            f"Correct the name: it lists {listed(models)}.",
        )
