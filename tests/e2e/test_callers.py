"""Who may call, with which key the upstream is called, and what never leaves the gateway."""

import json
import socket

import openai
import pytest

from tests.e2e.estate import Estate
from tests.support.client import Conversation, fetch, post, sdk
from tests.support.gateway import ADMIN_PASSWORD, Gateway
from tests.support.provider import StrictProvider

BODY = b'{"model":"deepseek-v4-pro","messages":[{"role":"user","content":"hi"}]}'
CHAT = "/v1/chat/completions"


def test_two_bad_keys_are_passed_over_within_one_request(estate: Estate) -> None:
    upstream = estate.providers["keys"]
    assert Conversation(estate.client, "many-keys").ask(streamed=False).finish_reason
    assert [request.status for request in upstream.requests] == [401, 401, 200]
    upstream.reset()
    assert Conversation(estate.client, "many-keys").ask().finish_reason
    assert [(request.key, request.status) for request in upstream.requests] == [("sk-good", 200)]


def test_an_upstream_that_cannot_be_reached_is_passed_over(estate: Estate) -> None:
    reply = Conversation(estate.client, "failover").ask()
    assert reply.finish_reason
    assert [request.target for request in estate.providers["alive"].requests] == [
        "/v1/chat/completions"
    ]


def test_retry_after_is_kept(estate: Estate) -> None:
    with pytest.raises(openai.RateLimitError) as caught:
        Conversation(estate.client, "busy-model").ask()
    assert caught.value.response.headers["retry-after"] == "7"


@pytest.mark.parametrize(
    "headers", [{}, {"Authorization": "Bearer sk-wrong"}, {"Authorization": "Basic YTpi"}]
)
def test_a_wrong_key_is_refused_and_never_reaches_the_upstream(
    gateway: Gateway, provider: StrictProvider, headers: dict[str, str]
) -> None:
    answer = post(gateway.origin, CHAT, BODY, **headers)
    assert answer.status == 401
    assert answer.json["error"]["message"]
    assert not provider.requests


@pytest.mark.parametrize("stream", [True, False])
def test_an_answer_says_by_which_name_the_books_have_it(
    gateway: Gateway, provider: StrictProvider, key: str, stream: bool
) -> None:
    body = BODY[:-1] + b',"stream":' + json.dumps(stream).encode() + b"}"
    answer = post(gateway.origin, CHAT, body, key=key)
    headers = {"Authorization": f"Bearer {key}"}
    url = f"{gateway.origin}/api/my-requests?limit=1"
    [newest] = fetch("GET", url, None, headers).json["items"]
    assert answer.headers["x-thinkback-exchange"] == newest["exchange"]


def test_a_wrong_key_is_refused_before_the_body_is_sent(gateway: Gateway) -> None:
    head = (
        f"POST {CHAT} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "
        "sk-wrong\r\nContent-Length: 1000000\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=10) as connection:
        connection.sendall(head.encode())
        assert connection.recv(12) == b"HTTP/1.1 401"


def test_a_body_over_the_limit_is_refused_before_it_is_sent(gateway: Gateway, key: str) -> None:
    head = (
        f"POST {CHAT} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "
        f"{key}\r\nContent-Length: 99000000\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=10) as connection:
        connection.sendall(head.encode())
        assert connection.recv(12) == b"HTTP/1.1 413"


@pytest.mark.parametrize("header", ["Authorization", "api-key", "x-api-key"])
def test_a_virtual_key_is_taken_from_every_usual_header(
    gateway: Gateway, provider: StrictProvider, key: str, header: str
) -> None:
    value = f"Bearer {key}" if header == "Authorization" else key
    assert post(gateway.origin, CHAT, BODY, **{header: value}).status == 200
    assert provider.requests[0].key == "sk-good"
    assert key.encode() not in b"".join(value.encode() for _, value in provider.requests[0].headers)


def test_an_upstream_s_own_key_is_forwarded(gateway: Gateway, provider: StrictProvider) -> None:
    with sdk(gateway.base_url, "sk-good") as client:
        conversation = Conversation(client, "deepseek-v4-pro", marker="pass-through")
        conversation.run(4)
    assert {request.key for request in provider.requests} == {"sk-good"}
    assert not conversation.crossed(provider.requests)


def test_a_session_token_is_as_good_as_a_key(gateway: Gateway, provider: StrictProvider) -> None:
    body = b'{"username":"ada","password":"ada has a long password"}'
    token = post(gateway.origin, "/api/login", body).json["token"]
    assert post(gateway.origin, CHAT, BODY, key=token).status == 200
    assert provider.requests[0].key == "sk-good"


def test_an_admin_makes_a_user_over_http(gateway: Gateway, provider: StrictProvider) -> None:
    login = b'{"username":"admin","password":"%b"}' % ADMIN_PASSWORD.encode()
    token = post(gateway.origin, "/api/login", login).json["token"]
    made = post(
        gateway.origin,
        "/api/admin/users",
        b'{"username":"eve","password":"a long password"}',
        key=token,
    )
    assert made.status == 201
    assert post(gateway.origin, CHAT, BODY, key=made.json["api_key"]).status == 200


def test_an_unknown_model_is_named_with_the_models_there_are(estate: Estate) -> None:
    with pytest.raises(openai.BadRequestError, match="no-such-model") as caught:
        Conversation(estate.client, "no-such-model").ask()
    assert caught.value.code == "model_not_found"
    assert "kimi-k2.6" in caught.value.message


def test_no_key_is_ever_logged(gateway: Gateway, estate: Estate, key: str) -> None:
    fetch("GET", f"{gateway.origin}/v1/models", headers={"Authorization": f"Bearer {key}"})
    assert key not in gateway.log
    assert estate.key not in estate.gateway.log
    assert ADMIN_PASSWORD not in gateway.log
