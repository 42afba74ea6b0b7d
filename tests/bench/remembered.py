"""What a million remembered turns cost: the start of a data plane, its memory, and the look-ups
of a long conversation.
"""

import gc
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from statistics import median
from time import monotonic, perf_counter_ns

import psutil

from addon.edge.plan import SLICE_SECONDS
from addon.formats.wire.pace import Work
from addon.node import Node
from addon.recall.memory import Record
from shared.store.engine import Transaction
from shared.store.recall import kept_bytes
from tests.support.prose import Prose

__all__ = ("TURNS", "measure_remembered")

TURNS = (0, 1_000, 10_000, 100_000, 1_000_000)
SEEDS = 1_000
"""Turns that are made and kept as a request does it; the others are copies of their rows."""

COPIED = 200_000
"""Rows of one transaction."""

REASONING_CHARS = 600
KEYS_PER_TURN = 3
"""Agents' turns have that many on average."""

LOOKED_UP = 650
"""Turns of one conversation."""

ROUNDS = 100
STARTS = 9
NAMESPACE = b"n" * 16

_COPY_TURNS = """
    INSERT INTO recall_turns (token, namespace, complete, length, bytes, used_at, body)
    SELECT lower(hex(randomblob(8))), namespace, complete, length, bytes, used_at, body
    FROM recall_turns WHERE id <= :copied
"""
_ADD_KEYS = """
    INSERT INTO recall_keys (key, turn)
    SELECT randomblob(10) AS key, id FROM recall_turns WHERE id > :last ORDER BY key
"""


def measure_remembered(directory: Path) -> dict[str, list[float]]:
    """Each over a database with each of so many `TURNS`."""
    found = [_measure(directory / f"{turns}", turns) for turns in TURNS]
    return {what: [figures[what] for figures in found] for what in found[0]}


def _measure(directory: Path, turns: int) -> dict[str, float]:
    directory.mkdir()
    environment = {
        "CONFIG_PATH": str(directory / "config.toml"),
        "DATABASE_URL": f"sqlite:{directory}/adapter.db",
    }
    (directory / "config.toml").write_text("")
    node = Node(environment)
    if turns:
        _remember(node, turns)
    node.engine.close()
    started = _each(lambda at: Node(environment).engine.close(), STARTS)
    node = Node(environment)
    kept = kept_bytes(node.engine) / 2**20
    found = {"start of the data plane, ms": started / 1000} | _look_ups(node, turns)
    node.engine.close()
    return found | {"MiB per 1,000 turns": kept / max(turns, 1) * 1000}


def _look_ups(node: Node, turns: int) -> dict[str, float]:
    """What conversations cost that follow one another, each of other turns while there are any."""
    random, recall, wanted = Random(2), node.recall, LOOKED_UP * ROUNDS
    tokens = [
        token
        for (token,) in node.engine.read(
            "SELECT token FROM recall_turns WHERE id % :part = 0",
            {"part": max(1, turns // wanted)},
        )
    ] or [random.randbytes(8).hex() for _ in range(wanted)]
    random.shuffle(tokens)
    tokens *= 1 + wanted // len(tokens)
    keys = [random.randbytes(16) for _ in range(LOOKED_UP * KEYS_PER_TURN)]
    gc.collect()
    before = psutil.Process().memory_info().rss
    names = [tokens[at * LOOKED_UP : (at + 1) * LOOKED_UP] for at in range(ROUNDS)]
    by_name = [_slices(lambda part=part: recall.turns(NAMESPACE, part)) for part in names]
    grown = psutil.Process().memory_info().rss - before
    by_key = [_slices(lambda: recall.tokens(keys)) for _ in range(ROUNDS)]
    return {
        f"{LOOKED_UP} turns by name, ms": median(map(sum, by_name)),
        "the longest it holds the loop, ms": median(map(max, by_name)),
        f"{len(keys):,} keys that lead nowhere, ms": median(map(sum, by_key)),
        "the longest they hold the loop, ms": median(map(max, by_key)),
        f"memory after {ROUNDS} such conversations, MiB more": grown / 2**20,
    }


def _slices(job: Callable[[], object]) -> list[float]:
    """How long each slice of a job takes, in milliseconds."""
    work, taken, done = Work(job, monotonic), [], False
    while not done:
        began = perf_counter_ns()
        done = work.go_on(SLICE_SECONDS)
        taken.append((perf_counter_ns() - began) / 1e6)
    work.result()
    return taken


def _remember(node: Node, turns: int) -> None:
    """Keep some turns as a request does, and copy their rows under other names until there are
    enough: what is looked up is spread over all of the file.
    """
    prose, random = Prose(), Random(1)
    for number in range(SEEDS):
        token = random.randbytes(8).hex()
        record = Record(
            token=token,
            reasoning=prose.cut(REASONING_CHARS),
            field="reasoning_content",
            ids=(f"call_00_{random.randbytes(12).hex()}",),
            names=("Read",),
            parent=token,
            after=token,
            made_at=node.clock.now_ms() + number,
        )
        keys = [random.randbytes(16) for _ in range(KEYS_PER_TURN)]
        node.recall.keep(NAMESPACE, record, keys, durable=True)
    node.engine.flush()
    for copied in _lots(SEEDS, turns):
        node.engine.transact(lambda work, copied=copied: _copy(work, copied), alone=())
        node.engine.flush()


def _lots(there: int, wanted: int) -> Iterator[int]:
    """How many rows to copy at a time."""
    while there < wanted:
        lot = min(there, COPIED, wanted - there)
        yield lot
        there += lot


def _copy(work: Transaction, count: int) -> None:
    ((last,),) = work.run("SELECT max(id) FROM recall_turns")
    work.run(_COPY_TURNS, {"copied": count})
    for _ in range(KEYS_PER_TURN):
        work.run(_ADD_KEYS, {"last": last})


def _each(work: Callable[[int], object], rounds: int) -> float:
    """The median of many rounds in microseconds."""
    taken = []
    for number in range(rounds):
        began = perf_counter_ns()
        work(number)
        taken.append(perf_counter_ns() - began)
    return median(taken) / 1000
