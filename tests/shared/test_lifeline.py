import asyncio
import os
import signal
import socket
import subprocess
import sys

from shared.lifeline import LIFELINE, SOCKETS, Lifeline, handed_sockets


async def test_a_program_tells_that_it_works_and_then_that_it_lives() -> None:
    reading, writing = os.pipe()
    async with asyncio.TaskGroup() as group:
        beating = group.create_task(Lifeline({LIFELINE: str(writing)}).beat())
        told = [await asyncio.to_thread(os.read, reading, 100) for _ in range(2)]
        beating.cancel()
    os.close(writing)
    os.close(reading)

    assert told == [b"ready\n", b"alive\n"]


def test_a_supervisor_that_does_not_read_stops_nobody() -> None:
    reading, writing = os.pipe()
    lifeline = Lifeline({LIFELINE: str(writing)})
    for _ in range(20_000):
        lifeline.tell("alive")
    os.close(reading)

    lifeline.tell("alive")
    os.close(writing)


def test_without_a_supervisor_there_is_nothing_to_listen_on_and_nobody_to_tell() -> None:
    Lifeline({}).tell("alive")

    assert handed_sockets({}) == []


def test_the_sockets_that_were_opened_are_the_ones_to_listen_on() -> None:
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("", 0)) as two:
        opened = [os.dup(each.fileno()) for each in (one, two)]

        handed = handed_sockets({SOCKETS: ",".join(map(str, opened))})

        assert [each.getsockname() for each in handed] == [one.getsockname(), two.getsockname()]
        for each in handed:
            each.close()


def test_what_a_program_is_doing_is_shown_when_it_is_asked() -> None:
    code = """
import sys
from shared.lifeline import STACKS, Lifeline
def wait_for_ever():
    print("waits", flush=True)
    sys.stdin.read()
Lifeline({}).begin()
wait_for_ever()
"""
    command = [sys.executable, "-c", code]
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    with subprocess.Popen(command, **pipes) as program:
        assert program.stdout
        assert program.stdout.readline() == b"waits\n"
        program.send_signal(signal.SIGUSR1)
        shown = program.communicate(timeout=20)[1]
        code = program.returncode

    assert b"in wait_for_ever" in shown
    assert code == 0
