"""What many remembered turns cost: the start of a data plane, and the look-ups of a request."""

from collections.abc import Callable
from pathlib import Path
from random import Random
from statistics import median
from time import perf_counter_ns

from addon.node import Node
from addon.recall.memory import Record
from shared.store.recall import find_tokens, find_turns, kept_bytes
from tests.support.prose import Prose

__all__ = ("TURNS", "measure_remembered")

TURNS = 100_000
REASONING_CHARS = 600
KEYS_PER_TURN = 3
"""Agents' turns have that many on average."""

LOOKED_UP = 40
"""Turns of one conversation."""

ROUNDS = 500
STARTS = 9
NAMESPACE = b"n" * 16


def measure_remembered(directory: Path) -> dict[str, tuple[float, float]]:
    """Each over an empty database and over one with `TURNS` turns."""
    empty, full = _measure(directory / "empty", 0), _measure(directory / "full", TURNS)
    return {what: (empty[what], full[what]) for what in empty}


def _measure(directory: Path, turns: int) -> dict[str, float]:
    directory.mkdir()
    environment = {
        "CONFIG_PATH": str(directory / "config.toml"),
        "DATABASE_URL": f"sqlite:{directory}/adapter.db",
    }
    (directory / "config.toml").write_text("")
    node = Node(environment)
    _remember(node, turns)
    node.engine.close()
    started = _each(lambda at: Node(environment).engine.close(), STARTS)
    node = Node(environment)
    random, engine = Random(2), node.engine
    names = [[_token(random.randrange(TURNS)) for _ in range(LOOKED_UP)] for _ in range(ROUNDS)]
    keys = [[random.randbytes(16) for _ in range(LOOKED_UP)] for _ in range(ROUNDS)]
    found = {
        "start of the data plane, ms": started / 1000,
        f"{LOOKED_UP} turns by name, µs": _each(
            lambda at: find_turns(engine, NAMESPACE, names[at])
        ),
        f"{LOOKED_UP} keys that lead nowhere, µs": _each(
            lambda at: find_tokens(engine, keys[at], 64)
        ),
        "MiB per 1,000 turns": kept_bytes(engine) / 2**20 / max(turns, 1) * 1000,
    }
    engine.close()
    return found


def _remember(node: Node, turns: int) -> None:
    prose, random = Prose(), Random(1)
    for number in range(turns):
        record = Record(
            token=_token(number),
            reasoning=prose.cut(REASONING_CHARS),
            field="reasoning_content",
            ids=(f"call_00_{random.randbytes(12).hex()}",),
            names=("Read",),
            parent=_token(number - 1),
            after=_token(number - 1),
            made_at=node.clock.now_ms(),
        )
        keys = [random.randbytes(16) for _ in range(KEYS_PER_TURN)]
        node.recall.keep(NAMESPACE, record, keys, durable=True)


def _token(number: int) -> str:
    return Random(number).randbytes(8).hex()


def _each(work: Callable[[int], object], rounds: int = ROUNDS) -> float:
    """The median of many rounds in microseconds."""
    taken = []
    for number in range(rounds):
        began = perf_counter_ns()
        work(number)
        taken.append(perf_counter_ns() - began)
    return median(taken) / 1000
