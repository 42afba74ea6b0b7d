"""A test of an upstream says in words what each key does, and never shows a key or what the
upstream wrote.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from manage_api.domains.upstreams.outbound import OutboundError, tls_context
from manage_api.domains.upstreams.probe import fault_of, probe, probe_all, trust
from manage_api.domains.upstreams.schemas import KeyReport, UpstreamReport
from shared.config.schema import Models, Snapshot, Upstream
from tests.manage_api.world import ManualClock
from tests.support.gateway import free_port
from tests.support.rawhttp import RESET, RawServer, Received, Reply, json_reply

GOOD, OTHER = "sk-good-key-1111", "sk-other-key-2222"
TLS = tls_context({})


def models(*names: Any) -> Reply:
    return json_reply(
        json.dumps(
            {"object": "list", "data": [{"id": name, "object": "model"} for name in names]}
        ).encode()
    )


class Provider:
    """Answers each key as the test says; 401 for the others."""

    def __init__(self) -> None:
        self.replies: dict[str, Reply] = {GOOD: models("a", "b")}
        self.by_target: dict[str, Reply] = {}
        self.raw = RawServer(self._answer)

    async def _answer(self, request: Received) -> Reply:
        if request.target in self.by_target:
            return self.by_target[request.target]
        return self.replies.get(
            request.key, json_reply(b'{"error": "secret words of the upstream"}', 401)
        )

    async def asked(self, *keys: str, path: str = "", **fields: Any) -> UpstreamReport:
        upstream = Upstream(
            name="a", base_url=f"http://127.0.0.1:{self.raw.port}{path}", api_keys=keys, **fields
        )
        return await probe(upstream, guarded=False, tls=TLS, clock=ManualClock())


@pytest.fixture
def provider() -> Iterator[Provider]:
    provider = Provider()
    provider.raw.start()
    yield provider
    provider.raw.stop()


async def test_a_key_that_works_shows_the_models(provider: Provider) -> None:
    report = await provider.asked(GOOD)

    assert (report.works, report.models) == (True, ["a", "b"])
    assert report.message == "It works and lists 2 models."
    [key] = report.keys
    assert (key.key, key.works, key.status, key.latency_ms) == ("…1111", True, 200, 0)


@pytest.mark.parametrize(
    ("api", "path", "target"),
    [
        ("chat", "", "/v1/models"),
        ("chat", "/", "/v1/models"),
        ("chat", "/api/v4/", "/api/v4/models"),
        ("responses", "/v1", "/v1/models"),
        ("responses", "/openai/v1?api-version=preview", "/openai/v1/models?api-version=preview"),
        (
            "chat",
            "/openai/deployments/{model}?api-version=2024-10-21",
            "/openai/models?api-version=2024-10-21",
        ),
        ("messages", "", "/v1/models?limit=1000"),
        ("messages", "/v1", "/v1/models?limit=1000"),
        ("messages", "/anthropic", "/anthropic/v1/models?limit=1000"),
    ],
)
async def test_the_models_are_asked_for_beside_the_answers(
    provider: Provider, api: Any, path: str, target: str
) -> None:
    await provider.asked(GOOD, path=path, api=api)

    assert [request.target for request in provider.raw.requests] == [target]


async def test_headers_are_those_of_the_data_plane(provider: Provider) -> None:
    await provider.asked(GOOD, headers={"X-Team": "blüe", "Authorization": "Basic abc"})

    [request] = provider.raw.requests
    assert (request.header("host"), request.header("authorization")) == (
        f"127.0.0.1:{provider.raw.port}",
        "Basic abc",
    )
    assert request.header("x-team") == "blüe".encode().decode("latin-1")


@pytest.mark.parametrize(
    ("auth", "shown"),
    [("", ("authorization", f"Bearer {GOOD}")), ("x-api-key", ("x-api-key", GOOD))],
)
async def test_messages_are_spoken_in_their_version_with_the_key_where_it_belongs(
    provider: Provider, auth: Any, shown: tuple[str, str]
) -> None:
    await provider.asked(GOOD, api="messages", auth=auth)

    [request] = provider.raw.requests
    assert request.header("anthropic-version") == "2023-06-01"
    assert [pair for pair in request.headers if GOOD in pair[1]] == [shown]


async def test_anthropic_s_list_is_read(provider: Provider) -> None:
    model = {
        "type": "model",
        "id": "claude-x",
        "display_name": "Claude X",
        "created_at": "2026-01-01T00:00:00Z",
    }
    listed = {"data": [model], "has_more": False, "first_id": "claude-x", "last_id": "claude-x"}
    provider.replies[GOOD] = json_reply(json.dumps(listed).encode())

    report = await provider.asked(GOOD, api="messages")

    assert (report.works, report.models) == (True, ["claude-x"])


async def test_an_endpoint_for_messages_without_a_list_says_so(provider: Provider) -> None:
    provider.replies[GOOD] = Reply(status=404)

    assert (
        "A few providers have no such list."
        in (await provider.asked(GOOD, path="/anthropic", api="messages")).message
    )


async def test_anthropic_s_list_is_read_page_by_page(provider: Provider) -> None:
    def page(*names: str, more: bool) -> Reply:
        models = [{"type": "model", "id": name} for name in names]
        return json_reply(
            json.dumps({"data": models, "has_more": more, "last_id": names[-1]}).encode()
        )

    pages = {
        "/v1/models?limit=1000": page("a", "b/c", more=True),
        "/v1/models?limit=1000&after_id=b%2Fc": page("d", more=False),
    }
    provider.by_target = pages

    report = await provider.asked(GOOD, api="messages")

    assert (report.works, report.models) == (True, ["a", "b/c", "d"])
    assert [request.target for request in provider.raw.requests] == list(pages)


async def test_pages_without_an_end_are_not_followed_for_ever(provider: Provider) -> None:
    provider.replies[GOOD] = json_reply(b'{"data":[{"id":"a"}],"has_more":true,"last_id":"a"}')

    report = await provider.asked(GOOD, api="messages")

    assert (report.models, len(provider.raw.requests)) == (["a"], 4)


SHAPES = {
    "Together": (b'[{"id": "a", "type": "chat"}, {"id": "b"}]', ["a", "b"]),
    "Ollama": (b'{"object": "list", "data": null}', []),
    "Gemini": (
        b'{"object": "list", "data": [{"id": "models/gemini-a"}, {"id": "models/gemini-b"}]}',
        ["gemini-a", "gemini-b"],
    ),
    "a prefix of one": (b'{"data": [{"id": "models/a"}, {"id": "b"}]}', ["models/a", "b"]),
    "OpenAI": (
        b'{"data": [{"id": "text-embedding-3-small"}, {"id": "gpt-5.5"}, {"id": "dall-e-3"},'
        b' {"id": "gpt-5"}]}',
        ["gpt-5.5", "gpt-5", "text-embedding-3-small", "dall-e-3"],
    ),
    "OpenRouter": (
        b'{"data": [{"id": "deepseek/deepseek-v4-pro", "pricing": {"prompt": "0.1"}}]}',
        ["deepseek/deepseek-v4-pro"],
    ),
}


@pytest.mark.parametrize(("body", "listed"), SHAPES.values(), ids=SHAPES)
async def test_the_lists_of_all_kinds_of_providers_are_read(
    provider: Provider, body: bytes, listed: list[str]
) -> None:
    provider.replies[GOOD] = json_reply(body)

    report = await provider.asked(GOOD)

    assert (report.works, report.models) == (True, listed)


async def test_every_key_is_tried(provider: Provider) -> None:
    report = await provider.asked("sk-bad-key-0000", GOOD, OTHER)

    assert [(key.key, key.works, key.status) for key in report.keys] == [
        ("…0000", False, 401),
        ("…1111", True, 200),
        ("…2222", False, 401),
    ]
    assert (report.works, report.message, report.models) == (False, "1 of 3 keys work.", ["a", "b"])


def test_of_many_keys_that_fail_some_are_named() -> None:
    keys = [
        KeyReport(
            key=f"…{n}", works=not n, status=401, latency_ms=1, message="Yes." if not n else "No."
        )
        for n in range(6)
    ]
    report = UpstreamReport(works=False, message="", models=[], keys=keys)

    assert fault_of(report) == "Key …1: No. Key …2: No. Key …3: No. 2 more of its keys don't work."


async def test_all_upstreams_are_tried_unless_nobody_is_to_be_asked(provider: Provider) -> None:
    url = f"http://127.0.0.1:{provider.raw.port}"
    upstreams = (
        Upstream(name="a", base_url=url, api_keys=(GOOD,)),
        Upstream(name="b", base_url=url, api_keys=(OTHER,)),
    )
    asked = Snapshot(upstreams=upstreams)

    reports = await probe_all(asked, ManualClock())

    assert {name: fault_of(report) for name, report in reports.items()} == {
        "a": "",
        "b": "The upstream rejects this key (401).",
    }
    assert await probe_all(replace(asked, models=Models(refresh_seconds=0)), ManualClock()) == {}


async def test_an_upstream_without_a_key_is_asked_without_one(provider: Provider) -> None:
    provider.replies[""] = models("a")

    report = await provider.asked()

    assert (report.works, [key.key for key in report.keys]) == (True, [""])
    assert provider.raw.requests[0].header("authorization") is None


WRONG = {
    "forbidden": (Reply(status=403), "rejects this key (403)"),
    "no money": (Reply(status=402), "no credit left (402)"),
    "no path": (
        Reply(status=404),
        "no list of models at this address (404): check the path in base_url",
    ),
    "busy": (Reply(status=429), "rate limit for this key was reached (429)"),
    "moved": (
        Reply(status=302, headers=[("location", "http://10.0.0.1/")]),
        "redirects to another address (302)",
    ),
    "odd": (Reply(status=418), "answered with an error (418)"),
    "broken": (Reply(status=503), "failed internally (503)"),
    "page": (json_reply(b"<html>"), "not JSON"),
    "bytes": (json_reply(b"\xff"), "not JSON"),
    "deep": (json_reply(b'{"data": [], "x": ' + b"[" * 100_000), "not JSON"),
    "text": (json_reply(b'{"data": "none"}'), "not a list of models"),
    "list": (json_reply(b"[]"), "not a list of models"),
    "nameless": (json_reply(b'{"data": [{"name": "a"}]}'), "not a list of models"),
    "no HTTP": (Reply(prelude=[b"SSH-2.0-x\r\n\r\n"]), "is not HTTP"),
}


@pytest.mark.parametrize(("reply", "words"), WRONG.values(), ids=WRONG)
async def test_what_is_wrong_is_said(provider: Provider, reply: Reply, words: str) -> None:
    provider.replies[GOOD] = reply

    report = await provider.asked(GOOD)

    assert words in report.message
    assert (report.works, report.models) == (False, [])


async def test_an_upstream_that_wants_a_key_says_so(provider: Provider) -> None:
    assert (await provider.asked()).message == "The upstream requires a key (401)."


async def test_names_that_cannot_be_shown_are_left_out(provider: Provider) -> None:
    provider.replies[GOOD] = models("a", "b\x1b[2J", "c" * 300, "a")

    assert (await provider.asked(GOOD)).models == ["a"]


async def test_an_upstream_that_does_not_answer_is_asked_once(provider: Provider) -> None:
    provider.replies = dict.fromkeys((GOOD, OTHER), Reply(prelude=[RESET]))

    report = await provider.asked(GOOD, OTHER)

    assert len(provider.raw.requests) == 1
    assert report.message == "The server closed the connection without a response."
    assert [(key.key, key.status, key.message) for key in report.keys] == [
        ("…1111", None, report.message),
        ("…2222", None, report.message),
    ]


async def test_neither_keys_nor_addresses_nor_the_upstreams_words_are_shown(
    provider: Provider,
) -> None:
    shown = repr([await provider.asked("sk-bad-key-0000"), await provider.asked(GOOD, OTHER)])
    provider.raw.refuse()
    shown += repr(await provider.asked(GOOD))

    assert not [
        word
        for word in ("bad-key", "good-key", "other-key", "127.0.0.1", "secret words")
        if word in shown
    ]


async def test_a_guarded_upstream_is_not_asked_at_this_machine() -> None:
    upstream = Upstream(name="a", base_url=f"https://127.0.0.1:{free_port()}", api_keys=(GOOD,))

    report = await probe(upstream, guarded=True, tls=TLS, clock=ManualClock())

    assert "is in a private network" in report.message


def test_what_the_data_plane_trusts_is_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mitm.toml").write_text(
        'mode = "reverse:http://127.0.0.1:9"\n[options]\nssl_insecure = true\n'
    )

    assert not trust().check_hostname


@pytest.mark.parametrize(
    "options",
    ['ssl_verify_upstream_trusted_ca = "missing.pem"', "ssl_insecuer = true"],
    ids=["missing", "misspelt"],
)
def test_what_cannot_be_read_is_said(
    options: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mitm.toml").write_text(f'mode = "reverse:http://127.0.0.1:9"\n[options]\n{options}\n')

    with pytest.raises(OutboundError, match=r"mitm\.toml"):
        trust()
