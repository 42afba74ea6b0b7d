"""What a request's headers alone decide."""

import json

import pytest

from addon.exchange import local_answers as front
from addon.formats.neutral.problem import Problem
from addon.formats.paths import Endpoint, Kind
from shared.config.schema import ModelRewrite, Server, Snapshot, Upstream
from shared.model import Principal
from tests.addon.callers import principal, user

THEIRS = "tp-an-upstream-key-1234"
UP = Upstream(
    name="up",
    base_url="https://example.com",
    api_keys=(THEIRS,),
    models=("b", "a"),
    model_rewrites=(ModelRewrite(from_="alias", to="b"),),
)
CALLER = principal(user())


def admitted(*, allow_upstream_keys: bool) -> Principal | Problem:
    return front.admit(
        {"authorization": f"Bearer {THEIRS}"},
        Snapshot(upstreams=(UP,), server=Server(allow_upstream_keys=allow_upstream_keys)),
        find_key=lambda _: None,
        read_token=lambda _: None,
        now_ms=0,
    )


def test_upstream_keys_are_taken_only_where_that_is_allowed() -> None:
    assert isinstance(admitted(allow_upstream_keys=True), Principal)
    problem = admitted(allow_upstream_keys=False)
    assert isinstance(problem, Problem)
    assert problem.status == 401


def unfit(kind: Kind = "chat", method: str = "POST", **headers: str) -> Problem | None:
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return front.unfit(Endpoint(kind), method, named, 1000)


@pytest.mark.parametrize("length", ["0", "1000", "x", "-1", ""])
@pytest.mark.parametrize("coding", ["", "identity", " Identity "])
def test_an_ordinary_request_is_fit(length: str, coding: str) -> None:
    assert unfit(content_length=length, content_encoding=coding) is None
    assert unfit() is None
    assert unfit("models", "GET") is None


@pytest.mark.parametrize(
    ("problem", "status", "words"),
    [
        pytest.param(unfit(method="GET"), 405, "Use POST here, not GET", id="method"),
        pytest.param(unfit("models", "POST"), 405, "Use GET here, not POST", id="models by POST"),
        pytest.param(
            unfit("response", "POST"),
            405,
            "Use GET or DELETE here, not POST",
            id="an answer by POST",
        ),
        pytest.param(unfit("messages", "GET"), 405, "Use POST here, not GET", id="messages by GET"),
        pytest.param(unfit(content_encoding="gzip"), 415, "uncompressed", id="gzip"),
        pytest.param(
            unfit(content_encoding="identity, identity"), 415, "uncompressed", id="twice identity"
        ),
        pytest.param(unfit(content_length="1001"), 413, "0 MiB", id="large"),
        pytest.param(unfit(content_length="9" * 4_000), 413, "larger than", id="huge"),
    ],
)
def test_an_unfit_request_is_told_why(problem: Problem | None, status: int, words: str) -> None:
    assert problem is not None
    assert problem.status == status
    assert words in problem.message


def test_the_model_list_has_what_can_be_asked_for() -> None:
    reply = front.models(Snapshot(upstreams=(UP,)), CALLER, {})
    listed = json.loads(reply.body)
    assert (reply.status, listed["object"]) == (200, "list")
    assert [model["id"] for model in listed["data"]] == ["b", "a", "alias"]
    assert all(model["object"] == "model" and model["owned_by"] for model in listed["data"])


def test_the_model_list_has_only_what_the_caller_may_use() -> None:
    limited = principal(user(models=("ali*",)))
    ids = [
        model["id"]
        for model in json.loads(front.models(Snapshot(upstreams=(UP,)), limited, {}).body)["data"]
    ]
    assert ids == ["alias"]


def test_anthropics_library_gets_the_model_list_that_it_reads() -> None:
    listed = json.loads(
        front.models(Snapshot(upstreams=(UP,)), CALLER, {"anthropic-version": "2023-06-01"}).body
    )
    assert [(model["type"], model["id"]) for model in listed["data"]] == [
        ("model", name) for name in ("b", "a", "alias")
    ]
    assert (listed["has_more"], listed["last_id"]) == (False, "alias")


def test_without_upstreams_the_model_list_is_empty() -> None:
    assert json.loads(front.models(Snapshot(), CALLER, {}).body) == {"object": "list", "data": []}


def test_browsers_may_call_from_anywhere() -> None:
    preflight = front.preflight()
    assert (preflight.status, preflight.body) == (204, b"")
    assert "authorization" in preflight.headers["access-control-allow-headers"]
    for reply in (
        preflight,
        front.models(Snapshot(), CALLER, {}),
        front.problem_reply(front.too_large(1), "chat", ""),
    ):
        assert reply.headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize(("store_answers", "status"), [(True, 200), (False, 503)])
def test_the_gateway_is_ready_when_its_store_is(store_answers: bool, status: int) -> None:
    reply = front.readiness(store_answers=store_answers, upstreams=0)
    assert reply.status == status
    assert json.loads(reply.body)["upstreams"] == 0


def test_the_process_says_that_it_lives() -> None:
    assert (front.health().status, json.loads(front.health().body)) == (200, {"status": "ok"})


def test_a_problem_is_told_in_the_clients_format_and_with_a_status_that_it_shows() -> None:
    problem = front.too_large(32 * 1024 * 1024)
    assert "larger than 32 MiB" in problem.message
    assert front.problem_reply(problem, "chat", "OpenAI/Python").status == 413
    reply = front.problem_reply(problem, "messages", "Cursor/1.0")
    assert (reply.status, reply.headers["content-type"]) == (400, "application/json")
    assert json.loads(reply.body)["type"] == "error"
