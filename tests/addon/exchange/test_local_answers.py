"""What is answered from a request's headers alone."""

import json

import pytest

from addon.admission.problems import too_large
from addon.exchange import local_answers as front
from shared.config.schema import ModelRewrite, Snapshot, Upstream
from shared.model import Principal
from tests.addon.callers import principal, user, virtual_key

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


def test_anthropics_library_pages_through_the_list() -> None:
    headers, found = {"anthropic-version": "2023-06-01"}, []
    target, snapshot = "/v1/models?limit=2", Snapshot(upstreams=(UP,))
    while target:
        page = json.loads(front.models(snapshot, CALLER, headers, target).body)
        found += [one["id"] for one in page["data"]]
        target = f"/v1/models?limit=2&after_id={page['last_id']}" if page["has_more"] else ""
    assert found == ["b", "a", "alias"]
    reply = front.models(snapshot, CALLER, headers, "/v1/models?after_id=z")
    assert (reply.status, json.loads(reply.body)["type"]) == (400, "error")


@pytest.mark.parametrize(
    ("headers", "kind", "error"),
    [
        ({}, ("object", "model"), ("error", "code", "model_not_found")),
        ({"anthropic-version": "1"}, ("type", "model"), ("error", "type", "not_found_error")),
    ],
)
def test_one_model_can_be_asked_for(
    headers: dict[str, str], kind: tuple[str, str], error: tuple[str, str, str]
) -> None:
    reply = front.model(Snapshot(upstreams=(UP,)), CALLER, headers, "alias")
    told = json.loads(reply.body)
    assert (reply.status, told["id"], told[kind[0]]) == (200, "alias", kind[1])
    limited = principal(user(models=("b",)))
    for caller, name in ((CALLER, "nobody"), (limited, "alias")):
        reply = front.model(Snapshot(upstreams=(UP,)), caller, headers, name)
        assert (reply.status, json.loads(reply.body)[error[0]][error[1]]) == (404, error[2])


OPEN = Upstream(name="open", base_url="https://open.example")
LISTED = {"open": ("x", "y"), "up": ("never",)}


def ids(caller: Principal, *upstreams: Upstream) -> list[str]:
    reply = front.models(Snapshot(upstreams=upstreams), caller, {}, listed=LISTED)
    return [model["id"] for model in json.loads(reply.body)["data"]]


def test_the_model_list_has_what_an_upstream_lists_that_takes_every_model() -> None:
    reply = front.models(Snapshot(upstreams=(UP, OPEN)), CALLER, {}, listed=LISTED)
    owners = {model["id"]: model["owned_by"] for model in json.loads(reply.body)["data"]}
    assert owners == {"b": "up", "a": "up", "alias": "up", "x": "open", "y": "open"}
    one = front.model(Snapshot(upstreams=(OPEN,)), CALLER, {}, "x", LISTED)
    assert (one.status, json.loads(one.body)["owned_by"]) == (200, "open")


def test_what_an_upstream_lists_is_limited_like_what_is_configured() -> None:
    limited = principal(user(models=("x", "b")), virtual_key(models=("x", "y")))
    assert ids(limited, UP, OPEN) == ["x"]


def test_a_model_that_the_callers_limits_name_is_listed_if_it_is_served() -> None:
    caller = principal(user(models=("z", "b-high", "q*")))
    assert ids(caller, OPEN) == ["z", "b-high"]
    assert ids(caller, UP) == ["b-high"]


def test_who_shows_an_upstreams_key_is_told_the_models_of_that_upstream() -> None:
    through = Principal(id="upstream:x", name="passthrough", key_suffix="x", upstream="open")
    assert ids(through, UP, OPEN) == ["x", "y"]


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


def test_a_node_that_has_lost_the_common_database_stays_ready_and_says_so() -> None:
    reply = front.readiness(store_answers=True, upstreams=1, store_lost=True)
    assert reply.status == 200
    assert b"degraded" in reply.body


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
