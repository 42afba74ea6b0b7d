"""Two data planes behind one port: a conversation may go to either, and each is replaced while
the other serves.
"""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import openai
import psutil  # type: ignore[import-untyped]
import pytest

from tests.harden.restarts import Load, half_read
from tests.support.client import Conversation, fetch, sdk
from tests.support.gateway import Gateway, Served, eventually, upstream_environment
from tests.support.provider import StrictProvider

MODEL = "deepseek-v4-pro"
WAITS = "waits for answers to end (1)"
ANSWERS = 20
"""While a successor starts."""

TWO = "[server]\nworkers = 2\nshutdown_delay_seconds = 3\n"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served[StrictProvider]]:
    """The upstream refuses a turn whose reasoning is not what it said."""
    directory = tmp_path_factory.mktemp("workers")
    with (
        StrictProvider() as provider,
        Gateway(directory, upstream_environment(provider.base_url), config=TWO) as gateway,
    ):
        yield Served(gateway, provider)


@pytest.fixture(scope="module")
def key(served: Served[StrictProvider]) -> str:
    return served.gateway.new_user("ada")


@contextmanager
def idle_alone(gateway: Gateway, one: psutil.Process) -> Iterator[None]:
    """While no other worker takes a connection."""
    others = [other for other in gateway.data_planes() if other != one]
    for other in others:
        other.suspend()
    try:
        yield
    finally:
        for other in others:
            other.resume()


def test_a_turn_that_one_worker_has_remembered_is_restored_by_the_other_and_the_log_names_both(
    served: Served[StrictProvider], key: str
) -> None:
    gateway, provider = served
    both = gateway.data_planes()
    with sdk(gateway.base_url, key) as first, sdk(gateway.base_url, key) as second:
        conversation = Conversation(first, MODEL)
        for client, worker in list(zip((first, second), both, strict=True)) * 3:
            conversation.client = client
            with idle_alone(gateway, worker):
                conversation.run(1)

        assert len(conversation.replies) == 6
        assert conversation.crossed(provider.requests) == []
    assert all(f"worker {number}: 200 POST" in gateway.log for number in (1, 2))


def readiness(gateway: Gateway) -> int:
    """What a balancer is told, which connects anew for each check."""
    return fetch("GET", f"{gateway.origin}/readyz").status


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_a_worker_that_ends_is_replaced_while_the_port_refuses_nobody(
    served: Served[StrictProvider], key: str, end: signal.Signals
) -> None:
    gateway, load = served.gateway, Load(served.gateway, key)
    old = gateway.data_planes()
    with load.running():
        old[1].send_signal(end)
        assert eventually(lambda: not old[1].is_running(), 60), gateway.log
        assert eventually(lambda: len(gateway.data_planes()) == 2, 60), gateway.log
        enough = load.answers + ANSWERS
        assert eventually(lambda: load.answers >= enough, 60), load.cut

    assert old[0].is_running()
    assert [why for why in load.refused if "ConnectionRefused" in why] == []
    if end == signal.SIGTERM:  # a kill cuts what it was answering
        assert (load.cut, load.refused) == ([], [])


def is_starting(worker: psutil.Process) -> bool:
    """Whether it lets a SIGTERM wait until it can answer it, by proc_pid_status(5)."""
    with suppress(OSError):
        status = Path(f"/proc/{worker.pid}/status").read_text()
        blocked = int(status.partition("SigBlk:")[2].split()[0], 16)
        return bool(blocked & 1 << signal.SIGTERM - 1)
    return False


def test_a_worker_that_is_told_to_end_while_it_starts_takes_no_request(
    served: Served[StrictProvider], key: str
) -> None:
    gateway, load = served.gateway, Load(served.gateway, key)
    with load.running():
        gateway.data_planes()[0].terminate()
        assert eventually(lambda: any(map(is_starting, gateway.data_planes())), 60), gateway.log
        for starting in filter(is_starting, gateway.data_planes()):
            starting.terminate()
            assert eventually(lambda one=starting: not one.is_running(), 60)  # type: ignore[misc]

    assert (load.cut, load.refused) == ([], [])
    assert load.answers


def test_a_worker_that_hangs_is_replaced_while_the_other_serves(
    served: Served[StrictProvider],
) -> None:
    gateway = served.gateway
    hung, other = gateway.data_planes()
    hung.suspend()
    while hung.is_running():
        assert fetch("GET", f"{gateway.origin}/healthz").status == 200

    assert other.is_running()
    assert "hangs. What it is doing:" in gateway.log


def test_under_load_a_restart_with_another_number_cuts_no_answer_and_refuses_nobody(
    served: Served[StrictProvider], key: str
) -> None:
    gateway, load = served.gateway, Load(served.gateway, key)
    old = gateway.data_planes()
    (gateway.directory / "config.toml").write_text(TWO.replace("= 2", "= 3"))
    with load.running(), half_read(served, key) as rest:
        gateway.processes()[0].send_signal(signal.SIGUSR2)
        assert eventually(lambda: len({*gateway.data_planes()} - {*old}) == 3, 60), gateway.log
        assert rest().finish_reason
        assert eventually(lambda: not any(one.is_running() for one in old), 60), gateway.log

    assert (load.cut, load.refused) == ([], [])
    assert load.answers
    assert len(gateway.data_planes()) == 3


def test_a_hang_up_reaches_all_workers(served: Served[StrictProvider]) -> None:
    gateway = served.gateway
    before = gateway.processes()
    os.kill(before[0].pid, signal.SIGHUP)

    for number in range(1, len(gateway.data_planes()) + 1):
        line = f"worker {number}: configuration read again"
        assert eventually(lambda line=line: line in gateway.log, 20), gateway.log  # type: ignore[misc]
    assert gateway.processes() == before


def test_a_stop_is_told_to_balancers_first_and_a_second_one_cuts_what_any_worker_answers(
    served: Served[StrictProvider], key: str
) -> None:
    gateway = served.gateway
    launcher, before = gateway.processes()[0], gateway.log.count(WAITS)
    with half_read(served, key) as rest:
        assert readiness(gateway) == 200
        launcher.terminate()
        assert eventually(lambda: readiness(gateway) == 503), gateway.log
        assert gateway.log.count(WAITS) == before
        assert eventually(lambda: gateway.log.count(WAITS) > before, 20), gateway.log
        with pytest.raises(ConnectionRefusedError):
            fetch("GET", f"{gateway.origin}/healthz")
        launcher.terminate()
        assert eventually(lambda: not gateway.processes(), 20), gateway.log
        with pytest.raises(openai.APIError, match="gateway was stopped"):
            rest()
