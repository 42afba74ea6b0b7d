"""What a request's head alone decides."""

import pytest

from addon.admission.admit import admit
from addon.admission.admit import unfit as fault_of
from addon.formats.neutral.problem import Problem
from addon.formats.paths import Endpoint, Kind
from shared.config.schema import Server, Snapshot, Upstream
from shared.model import Principal

THEIRS = "tp-an-upstream-key-1234"
UP = Upstream(name="up", base_url="https://example.com", api_keys=(THEIRS,))


def admitted(*, allow_upstream_keys: bool) -> Principal | Problem:
    return admit(
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
    return fault_of(Endpoint(kind), method, named, 1000)


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
        pytest.param(unfit(content_encoding="bz2"), 415, "'bz2' is not known", id="bz2"),
        pytest.param(
            unfit(content_encoding="gzip, gzip"), 415, "'gzip, gzip' is not", id="twice gzip"
        ),
        pytest.param(
            unfit("responses", "GET", upgrade="WebSocket"), 426, "with HTTP POST", id="a WebSocket"
        ),
        pytest.param(unfit(content_length="1001"), 413, "0 MiB", id="large"),
        pytest.param(unfit(content_length="9" * 4_000), 413, "larger than", id="huge"),
    ],
)
def test_an_unfit_request_is_told_why(problem: Problem | None, status: int, words: str) -> None:
    assert problem is not None
    assert problem.status == status
    assert words in problem.message
