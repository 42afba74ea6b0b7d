"""What is answered from a request's headers alone."""

import json

import pytest

from addon.admission.problems import too_large
from addon.exchange import local_answers as front
from shared.config.schema import ModelRewrite, Snapshot, Upstream
from tests.addon.callers import principal, user

UP = Upstream(
    name="up",
    base_url="https://example.com",
    models=("b", "a"),
    model_rewrites=(ModelRewrite(from_="alias", to="b"),),
)
CALLER = principal(user())


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
        front.problem_reply(too_large(1), "chat", ""),
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
    problem = too_large(32 * 1024 * 1024)
    assert "larger than 32 MiB" in problem.message
    assert front.problem_reply(problem, "chat", "OpenAI/Python").status == 413
    reply = front.problem_reply(problem, "messages", "Cursor/1.0")
    assert (reply.status, reply.headers["content-type"]) == (400, "application/json")
    assert json.loads(reply.body)["type"] == "error"
