"""The paths of the public port."""

import gzip
import zlib
from collections.abc import Callable

import brotli
import pytest
import zstandard

from tests.e2e.estate import Estate
from tests.support.client import fetch, post
from tests.support.gateway import Gateway
from tests.support.provider import StrictProvider

BODY = b'{"model":"deepseek-v4-pro","messages":[{"role":"user","content":"hi"}]}'
type Compress = Callable[[bytes], bytes]

PREFIXES = ["", "/v1", "/cursor", "/cursor/v1"]


@pytest.mark.parametrize("slash", ["", "/"], ids=["bare", "slash"])
@pytest.mark.parametrize("prefix", PREFIXES)
def test_chat_completions_under_every_prefix(
    gateway: Gateway, provider: StrictProvider, key: str, prefix: str, slash: str
) -> None:
    assert post(gateway.origin, f"{prefix}/chat/completions{slash}", BODY, key=key).status == 200
    assert provider.requests[0].target == "/v1/chat/completions"


def test_an_azure_deployment_names_the_model(
    gateway: Gateway, provider: StrictProvider, key: str
) -> None:
    path = "/openai/deployments/deepseek-v4-pro/chat/completions?api-version=2024-10-21"
    body = b'{"messages":[{"role":"user","content":"hi"}]}'
    assert post(gateway.origin, path, body, **{"api-key": key}).status == 200
    assert provider.bodies()[0]["model"] == "deepseek-v4-pro"
    assert provider.requests[0].target == "/v1/chat/completions"


@pytest.mark.parametrize("prefix", PREFIXES)
def test_models_are_those_of_all_upstreams_and_rewrites(estate: Estate, prefix: str) -> None:
    headers = {"Authorization": f"Bearer {estate.key}"}
    answer = fetch("GET", f"{estate.gateway.origin}{prefix}/models", headers=headers)
    assert answer.status == 200
    names = {model["id"] for model in answer.json["data"]}
    assert {"many-keys", "kimi-k2.6", "deepseek-v4-pro", "gpt-5.3-codex"} <= names


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/cursor/health"])
def test_health_is_told_to_everybody(gateway: Gateway, path: str) -> None:
    assert fetch("GET", gateway.origin + path).status == 200


@pytest.mark.parametrize(
    "path", ["/v1/chat/completions", "/cursor/models", "/v1/messages", "/responses", "/healthz"]
)
def test_a_browser_s_preflight_is_answered(
    gateway: Gateway, provider: StrictProvider, path: str
) -> None:
    headers = {"Origin": "https://app.example", "Access-Control-Request-Method": "POST"}
    answer = fetch("OPTIONS", gateway.origin + path, headers=headers)
    assert answer.status in {200, 204}
    assert answer.headers["access-control-allow-origin"]
    assert not provider.requests


def test_every_other_path_reaches_the_sidecar(gateway: Gateway, provider: StrictProvider) -> None:
    assert fetch("GET", f"{gateway.origin}/api/config").status == 200
    assert fetch("GET", f"{gateway.origin}/api/no-such-thing").status == 404
    assert not provider.requests


def test_a_method_that_a_path_does_not_have_is_refused(
    gateway: Gateway, provider: StrictProvider, key: str
) -> None:
    answer = fetch(
        "GET", f"{gateway.origin}/v1/chat/completions", headers={"Authorization": f"Bearer {key}"}
    )
    assert answer.status == 405
    assert not provider.requests


@pytest.mark.parametrize(
    ("coding", "compress"),
    [
        ("gzip", gzip.compress),
        ("deflate", zlib.compress),
        ("br", brotli.compress),
        ("zstd", zstandard.compress),
    ],
    ids=["gzip", "deflate", "br", "zstd"],
)
def test_a_compressed_request_is_read(
    gateway: Gateway, provider: StrictProvider, key: str, coding: str, compress: Compress
) -> None:
    headers = {"content-encoding": coding}
    answer = post(gateway.origin, "/v1/chat/completions", compress(BODY), key=key, **headers)
    assert answer.status == 200
    assert provider.bodies()[0]["messages"] == [{"role": "user", "content": "hi"}]


@pytest.mark.parametrize("path", ["//v1/chat/completions", "/v1//chat/completions/"])
def test_a_slash_too_many_does_no_harm(
    gateway: Gateway, provider: StrictProvider, key: str, path: str
) -> None:
    assert post(gateway.origin, path, BODY, key=key).status == 200


def test_a_client_that_tries_a_websocket_is_told_to_go_on_without(
    gateway: Gateway, key: str
) -> None:
    headers = {
        "Authorization": f"Bearer {key}",
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
    }
    assert fetch("GET", f"{gateway.origin}/v1/responses", headers=headers).status == 426


@pytest.mark.parametrize("path", ["/", "/healthz", "/api/config", "/v1/models"])
def test_a_head_is_what_a_get_has(gateway: Gateway, key: str, path: str) -> None:
    headers = {"Authorization": f"Bearer {key}"}
    answer = fetch("HEAD", gateway.origin + path, headers=headers)
    assert answer.status == fetch("GET", gateway.origin + path, headers=headers).status < 400
    assert answer.body == b""


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    "path", ["/v1/audio/speech", "/v1/messages/batches", "/v1/responses/compact"]
)
def test_what_an_api_has_and_nobody_serves_is_an_error_in_its_shape(
    gateway: Gateway, provider: StrictProvider, path: str, method: str
) -> None:
    body = b"{}" if method == "POST" else None
    answer = fetch(
        method, gateway.origin + path, body, headers={"content-type": "application/json"}
    )
    assert answer.status == 404
    assert f"{method} {path}" in answer.json["error"]["message"]
    assert not provider.requests
