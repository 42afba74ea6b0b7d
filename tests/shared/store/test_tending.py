"""What one node does for all is one node's until it stops doing it."""

from shared.store.engine import Engine
from shared.store.tending import claim


def claims(engine: Engine, node: str, now: int, task: str = "old rows") -> bool:
    return engine.transact(
        lambda work: claim(work, task, node, every_ms=100, now_ms=now), alone=("tending",)
    )


def test_a_task_is_one_nodes_as_long_as_it_does_it(engine: Engine, beside: Engine) -> None:
    assert claims(engine, "n1", 1000)
    assert not claims(beside, "n2", 1099)
    assert claims(engine, "n1", 1099)
    assert not claims(beside, "n2", 1198)
    assert claims(beside, "n2", 1199)
    assert not claims(engine, "n1", 1200)


def test_tasks_are_claimed_one_by_one(engine: Engine) -> None:
    assert claims(engine, "n1", 1000)
    assert claims(engine, "n2", 1000, "another")
