"""The headers that a format defines pass, and those that name an account do not."""

import pytest

from addon.exchange.upstream_request import outgoing_to, returned
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
