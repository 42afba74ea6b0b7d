"""What the end of an answer waits for: commits that are under way, for seconds and no longer."""

import logging

import pytest

from addon.recall.commits import PATIENCE_SECONDS, Commit, Commits, Storing
from shared.store.engine import Statement
from tests.addon.recall.chat import Memory


def learn(endpoint: str) -> Statement:
    sql = "INSERT INTO learned (endpoint, value, learned_at) VALUES (:endpoint, 'x', 1)"
    return sql, {"endpoint": endpoint}


def learned(memory: Memory) -> set[str]:
    return {endpoint for (endpoint,) in memory.engine.read("SELECT endpoint FROM learned")}


@pytest.fixture
def commits(memory: Memory) -> Commits:
    return Commits(memory.engine, memory.clock)


def under_way(commits: Commits, endpoint: str = "a") -> Commit:
    commit = commits.write([learn(endpoint)])
    assert commit is not None
    return commit


def test_what_a_free_database_takes_is_not_waited_for(memory: Memory, commits: Commits) -> None:
    assert commits.write([learn("a")]) is None
    assert learned(memory) == {"a"}


def test_a_commit_is_waited_for_until_it_is_made(memory: Memory, commits: Commits) -> None:
    with memory.locked():
        commit = under_way(commits)
        assert commit.awaited
    memory.engine.flush()
    assert not commit.awaited
    assert learned(memory) == {"a"}


def test_a_commit_is_made_though_nobody_waits_any_more(memory: Memory, commits: Commits) -> None:
    with memory.locked():
        commit = under_way(commits)
        memory.clock.ms += PATIENCE_SECONDS * 1000
        assert not commit.awaited
    memory.engine.flush()
    assert learned(memory) == {"a"}


def test_the_log_says_once_that_ends_do_not_wait_and_again_another_time(
    memory: Memory, commits: Commits, caplog: pytest.LogCaptureFixture
) -> None:
    for times in (1, 2):
        with memory.locked():
            for commit in [under_way(commits, f"{times} {number}") for number in range(3)]:
                memory.clock.ms += PATIENCE_SECONDS * 1000
                assert not commit.awaited
        memory.engine.flush()
        assert commits.write([learn(f"{times} free")]) is None
        said = [one for one in caplog.records if one.name == "thinkback.recall"]
        assert [one.levelno for one in said] == [logging.WARNING] * times


def test_a_disk_that_is_full_is_not_waited_for(memory: Memory, commits: Commits) -> None:
    with memory.full_disk():
        assert not under_way(commits).awaited
        assert learned(memory) == set()
    memory.engine.flush()
    assert learned(memory) == {"a"}


def test_an_end_waits_for_all_of_its_commits(memory: Memory, commits: Commits) -> None:
    storing = Storing()
    assert storing.over
    with memory.locked():
        storing.add(under_way(commits, "a"), None, under_way(commits, "b"))
        assert not storing.over
    memory.engine.flush()
    assert storing.over
