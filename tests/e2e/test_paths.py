"""The paths of the public port."""

import pytest

from tests.e2e.estate import Estate
from tests.support.client import fetch, post
from tests.support.gateway import Gateway
from tests.support.provider import StrictProvider

BODY = b'{"model":"deepseek-v4-pro","messages":[{"role":"user","content":"hi"}]}'
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
