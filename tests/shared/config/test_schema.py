from typing import Any

import pytest

from shared.config.schema import ModelRewrite, Server, Upstream


@pytest.mark.parametrize(
    ("base_url", "path", "request_path"),
    [
        ("https://a.b", "", "/v1/chat/completions"),
        ("https://a.b/", "", "/v1/chat/completions"),
        ("https://a.b/compatible-mode/v1", "", "/compatible-mode/v1/chat/completions"),
        ("https://a.b/v1/", "", "/v1/chat/completions"),
        ("https://a.b", "/beta/chat", "/beta/chat"),
        ("https://a.b/v4", "/chat", "/v4/chat"),
    ],
)
def test_base_url_and_path_become_the_endpoint(base_url: str, path: str, request_path: str) -> None:
    assert Upstream(name="a", base_url=base_url, path=path).request_path == request_path


@pytest.mark.parametrize(
    ("base_url", "scheme", "host", "port"),
    [
        ("https://A.b", "https", "a.b", 443),
        ("http://a.b", "http", "a.b", 80),
        ("http://[::1]:9/v1", "http", "::1", 9),
    ],
)
def test_a_base_url_names_where_to_connect(
    base_url: str, scheme: str, host: str, port: int
) -> None:
    upstream = Upstream(name="a", base_url=base_url)

    assert (upstream.scheme, upstream.host, upstream.port) == (scheme, host, port)


def test_only_pattern_rewrites_have_a_pattern() -> None:
    exact = ModelRewrite(from_="a", to="b")
    pattern = ModelRewrite(from_pattern="^a", to_template="b")

    upstream = Upstream(name="a", base_url="https://a.b", model_rewrites=(exact, pattern))

    assert [compiled and compiled.pattern for compiled in upstream.patterns] == [None, "^a"]
    assert [rewrite.source for rewrite in upstream.model_rewrites] == ["a", "^a"]


@pytest.mark.parametrize(
    ("base_url", "request_path"),
    [
        ("https://api.anthropic.com", "/v1/messages"),
        ("https://api.anthropic.com/v1", "/v1/messages"),
        ("https://api.deepseek.com/anthropic", "/anthropic/v1/messages"),
        ("https://api.z.ai/api/anthropic/", "/api/anthropic/v1/messages"),
    ],
)
def test_a_base_for_messages_gets_a_version_when_it_has_none(
    base_url: str, request_path: str
) -> None:
    assert Upstream(name="a", base_url=base_url, api="messages").request_path == request_path


@pytest.mark.parametrize(
    ("base_url", "settings", "header"),
    [
        ("https://api.anthropic.com", {"api": "messages"}, ("x-api-key", "")),
        ("https://api.minimax.io/anthropic", {"api": "messages"}, ("x-api-key", "")),
        ("https://api.moonshot.ai/anthropic", {"api": "messages"}, ("authorization", "Bearer ")),
        (
            "https://api.anthropic.com",
            {"api": "messages", "auth": "bearer"},
            ("authorization", "Bearer "),
        ),
        ("https://api.minimax.io", {}, ("authorization", "Bearer ")),
        ("https://x.openai.azure.com", {}, ("api-key", "")),
    ],
)
def test_a_key_is_shown_as_its_upstream_wants_it(
    base_url: str, settings: dict[str, Any], header: tuple[str, str]
) -> None:
    assert Upstream(name="a", base_url=base_url, **settings).key_header == header


@pytest.mark.parametrize(
    ("settings", "exposed"),
    [
        ({}, False),
        ({"listen_addr": "localhost:80", "admin_addr": "[::1]:81"}, False),
        ({"listen_addr": "0.0.0.0:8787"}, True),
        ({"listen_addr": "[::]:8787"}, True),
        ({"listen_addr": "192.168.1.5:8787"}, True),
        ({"listen_addr": "gateway.lan:8787"}, True),
        ({"admin_addr": "0.0.0.0:8788"}, True),
        ({"public_url": "https://think.example.com"}, True),
    ],
)
def test_a_server_is_exposed_when_more_than_this_machine_reaches_it(
    settings: dict[str, str], exposed: bool
) -> None:
    assert Server(**settings).is_exposed is exposed
