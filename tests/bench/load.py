"""The clients of the bench, in a process of their own: `python -m tests.bench.load` takes a job on
each line, does it and tells what came of it.
"""

import asyncio
import subprocess
import sys
from itertools import count
from pathlib import Path
from random import Random
from typing import Literal, Self

import msgspec

from tests.bench.answers import post, request
from tests.bench.client import Answer, Client

__all__ = ("GROWS", "SPREAD_SECONDS", "Job", "Load", "Sample")

GROWS = b"@@GROWS@@"
"""Where a replayed history has what is new each time."""

SPREAD_SECONDS = 1.0
"""Over which the streams of a job begin: people don't all ask at once."""

JOB_SECONDS = 60
"""After which a job is given up."""

_steps = count(1)


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """`kept`: `each` requests on every one of `connections`. `fresh`: a connection for each of
    `each` requests, one after the other. `timed`: one each 1/`rate` seconds, likewise.
    """

    kind: Literal["kept", "fresh", "timed"]
    port: int = 0
    key: str = ""
    authority: str = ""
    """Whom to trust where the port speaks TLS."""

    mode: str = "plain"
    connections: int = 1
    each: int = 1
    rate: float = 0.0
    history: str = ""
    """A file with a body that is sent in place of the mode's, longer by a step each time."""


class Sample(msgspec.Struct, frozen=True):
    """What came of a job."""

    seconds: float = 0.0
    answers: list[Answer] = []
    fault: str = ""

    @property
    def rate(self) -> float:
        """Requests a second."""
        return len(self.answers) / self.seconds

    @property
    def delays(self) -> list[float]:
        return [delay for answer in self.answers for delay in answer.delays]

    def deltas(self, since: float, until: float) -> int:
        """How many came in this time."""
        return sum(since <= at < until for answer in self.answers for at in answer.arrivals)


class Load:
    """The process; use as a context manager."""

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "tests.bench.load"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def run(self, job: Job) -> Sample:
        """Do a job; raises RuntimeError when it can't be done within its time."""
        self.begin(job)
        return self.end()

    def begin(self, job: Job) -> None:
        """Have a job done, and don't wait for it."""
        assert self._process.stdin
        self._process.stdin.write(msgspec.json.encode(job) + b"\n")
        self._process.stdin.flush()

    def end(self) -> Sample:
        """Wait for the job that was begun."""
        assert self._process.stdout
        sample = msgspec.json.decode(self._process.stdout.readline(), type=Sample)
        if sample.fault:
            raise RuntimeError(sample.fault)
        return sample


# -- the process -----------------------------------------------------------------------------------


async def _do(job: Job) -> Sample:
    messages = [_message(job) for _ in range(job.connections * job.each)]
    loop, doing = asyncio.get_running_loop(), {"kept": _kept, "fresh": _fresh, "timed": _timed}
    began = loop.time()
    answers = await doing[job.kind](job, messages)
    return Sample(loop.time() - began, answers)


async def _kept(job: Job, messages: list[bytes]) -> list[Answer]:
    spread = SPREAD_SECONDS / job.connections if job.mode == "paced" else 0.0
    works = (
        _repeat(job, messages[at :: job.connections], at * spread) for at in range(job.connections)
    )
    return [answer for each in await asyncio.gather(*works) for answer in each]


async def _repeat(job: Job, messages: list[bytes], after: float) -> list[Answer]:
    await asyncio.sleep(after)
    client = await Client.connect(job.port, job.authority)
    try:
        return [await client.ask(message) for message in messages]
    finally:
        client.close()


async def _fresh(job: Job, messages: list[bytes]) -> list[Answer]:
    return [await _once(job, message) for message in messages]


async def _timed(job: Job, messages: list[bytes]) -> list[Answer]:
    works, loop, pauses = [], asyncio.get_running_loop(), Random(1)
    due = loop.time()
    for message in messages:
        await asyncio.sleep(due - loop.time())
        works.append(asyncio.ensure_future(_once(job, message)))
        due += pauses.uniform(0.5, 1.5) / job.rate
    return await asyncio.gather(*works)


async def _once(job: Job, message: bytes) -> Answer:
    """A request on a connection of its own, which is part of its time."""
    began = asyncio.get_running_loop().time()
    client = await Client.connect(job.port, job.authority)
    try:
        answer = await client.ask(message)
    finally:
        client.close()
    answer.seconds = asyncio.get_running_loop().time() - began
    return answer


def _message(job: Job) -> bytes:
    if not job.history:
        return request(job.key, job.mode)
    body = Path(job.history).read_bytes()
    return post(job.key, body.replace(GROWS, b"one step more. " * next(_steps)))


async def _bounded(line: bytes) -> Sample:
    try:
        async with asyncio.timeout(JOB_SECONDS):
            return await _do(msgspec.json.decode(line, type=Job))
    except (Exception, BaseExceptionGroup) as error:
        return Sample(fault=f"{type(error).__name__}: {error}")


def main() -> None:
    with asyncio.Runner() as runner:
        for line in sys.stdin.buffer:
            told = msgspec.json.encode(runner.run(_bounded(line)))
            sys.stdout.buffer.write(told + b"\n")
            sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
