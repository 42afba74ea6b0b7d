import os
import socket
import subprocess
import sys

from manage_api.command.child import Known
from manage_api.command.handover import Handover, left_to, take_over
from tests.support.gateway import free_port


def test_a_first_start_takes_nothing_over_and_opens_its_own_sockets() -> None:
    address = f"127.0.0.1:{free_port()}"
    handover = take_over({})
    [opened] = handover.open_sockets(address)
    with opened:
        assert socket.create_connection(opened.getsockname()).close() is None
    assert (handover.processes, handover.lock) == ([], None)


def test_what_is_left_is_taken_over_once_and_known_to_nobody_else() -> None:
    left = Handover(sockets={"a:1": [7]}, processes=[Known("sidecar", 1, 8, 30, True, 5)], lock=9)
    environ = left_to(left, {"PATH": "/bin"})

    assert take_over(environ) == left
    assert environ == {"PATH": "/bin"}


def test_a_socket_that_is_taken_over_listens_on_and_the_others_are_closed() -> None:
    wanted, other = (socket.create_server(("127.0.0.1", 0)) for _ in range(2))
    addresses = [one.getsockname() for one in (wanted, other)]
    handover = Handover(sockets={"wanted": [wanted.detach()], "other": [other.detach()]})

    [taken] = handover.open_sockets("wanted")
    handover.close()

    with taken:
        socket.create_connection(addresses[0]).close()
        with socket.socket() as refused:
            assert refused.connect_ex(addresses[1])


def test_a_launcher_runs_on_as_the_same_process_with_what_it_left() -> None:
    code = """
import os, socket, sys
from manage_api.command import handover
if left := os.environ.get("THINKBACK_HANDOVER"):
    [fd] = handover.take_over(dict(os.environ)).sockets["here"]
    print(os.getpid(), socket.socket(fileno=fd).getsockname()[1])
else:
    handover.command = lambda *_: (sys.executable, "-c", os.environ["CODE"])
    here = socket.create_server(("127.0.0.1", 0))
    print(os.getpid(), here.getsockname()[1], flush=True)
    handover.run_anew(handover.Handover(sockets={"here": [here.fileno()]}), os.environ)
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "CODE": code},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    before, after = done.stdout.splitlines()
    assert before == after
