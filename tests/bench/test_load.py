from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bench.load import Job, Load
from tests.bench.upstream import Upstream


@pytest.fixture(scope="module")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Upstream]:
    with Upstream(tmp_path_factory.mktemp("upstream")) as running:
        yield running


@pytest.fixture(scope="module")
def load() -> Iterator[Load]:
    with Load() as running:
        yield running


@pytest.mark.parametrize("mode", ["plain", "flood"])
def test_each_request_on_each_connection_is_answered(
    upstream: Upstream, load: Load, mode: str
) -> None:
    job = Job(
        kind="kept",
        port=upstream.tls,
        authority=str(upstream.authority),
        mode=mode,
        connections=3,
        each=2,
    )

    assert len(load.run(job).answers) == 6


def test_requests_with_a_connection_each_are_as_many_connections(
    upstream: Upstream, load: Load
) -> None:
    before = upstream.told().connections

    load.run(Job(kind="fresh", port=upstream.plain, each=7))

    assert upstream.told().connections - before - 1 == 7


def test_a_history_grows_with_each_replay_and_its_reasoning_is_counted(
    upstream: Upstream, load: Load, tmp_path: Path
) -> None:
    file = tmp_path / "history.json"
    file.write_bytes(b'{"messages":[%b"@@GROWS@@"]}' % (b'{"reasoning_content":"why"},' * 5_000))

    load.run(Job(kind="kept", port=upstream.plain, each=2, history=str(file)))

    assert upstream.told().restored == 5_000


def test_what_cannot_be_done_is_told(upstream: Upstream, load: Load) -> None:
    with pytest.raises(RuntimeError, match="the connection was lost"):
        load.run(Job(kind="kept", port=upstream.tls))
