"""The headers that a format defines pass, and those that name an account do not."""

import pytest

from addon.exchange.upstream_request import outgoing_to, returned, without_addresses
from addon.routing.candidates import Candidate
from tests.addon.desk import upstream

CLIENT = {
    "anthropic-beta": "context-1m",
    "anthropic-version": "2030-01-01",
    "cookie": "secret",
    "openai-beta": "responses=v2",
    "openai-organization": "org-mine",
}


@pytest.mark.parametrize(
    ("api", "expected"),
    [
        ("chat", {"openai-beta": "responses=v2"}),
        ("responses", {"openai-beta": "responses=v2"}),
        ("messages", {"anthropic-beta": "context-1m", "anthropic-version": "2030-01-01"}),
    ],
)
def test_an_upstream_gets_the_headers_of_its_format(api: str, expected: dict[str, str]) -> None:
    candidate = Candidate(upstream(api=api), "sk-one-secret", "m")
    sent = dict(outgoing_to(candidate, CLIENT, b"{}").headers)
    assert {name: sent[name] for name in CLIENT if name in sent} == expected


def test_a_client_gets_the_headers_of_an_answer_but_for_the_account() -> None:
    answered = {
        "anthropic-organization-id": "org",
        "anthropic-ratelimit-requests-remaining": "9",
        "openai-organization": "org",
        "openai-processing-ms": "7",
        "openai-version": "2020-10-01",
        "request-id": "r",
        "set-cookie": "a=b",
        "x-ratelimit-reset": "1",
    }
    assert returned(answered) == {
        "anthropic-ratelimit-requests-remaining": "9",
        "openai-processing-ms": "7",
        "openai-version": "2020-10-01",
        "request-id": "r",
        "x-ratelimit-reset": "1",
    }


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (b"dial tcp 10.1.2.3:8000: refused", b"dial tcp (a private address): refused"),
        (b"http://127.0.0.1:11434/v1", b"http://(a private address)/v1"),
        (b"from 192.168.0.9, 172.20.1.1", b"from (a private address), (a private address)"),
        (b"169.254.169.254", b"(a private address)"),
        (b"8.8.8.8 and 172.32.0.1", b"8.8.8.8 and 172.32.0.1"),
        (b"version 10.1 of 110.1.2.3", b"version 10.1 of 110.1.2.3"),
    ],
)
def test_no_address_of_a_private_network_is_told(said: bytes, told: bytes) -> None:
    assert without_addresses(said) == told
