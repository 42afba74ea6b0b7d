"""`make cluster` in short: two workers under load, one killed and one told to leave now and then."""

from pathlib import Path

from tests.cluster.run import SHORT, run
from tests.cluster.topology import Workers
from tests.cluster.upstream import Upstream


def test_whatever_becomes_of_two_workers_no_turn_is_rejected_and_the_books_are_the_upstream_s(
    tmp_path: Path,
) -> None:
    with (
        Upstream() as upstream,
        Workers(tmp_path, upstream.base_url, workers=2) as topology,
    ):
        figures = list(run(topology, upstream, SHORT))

    assert [figure.line() for figure in figures if not figure.ok] == []
