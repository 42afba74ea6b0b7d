from pathlib import Path

import pytest

from manage_api.command.workers import cores, wanted
from shared.config.schema import Server
from tests.manage_api.command.running import Command

NOWHERE = Path("/nowhere/cgroup")


@pytest.fixture
def thinkback(tmp_path: Path) -> Command:
    return Command(tmp_path)


def quota(directory: Path, text: str) -> int:
    """The cores of a process whose control group has this quota."""
    group = directory / "system.slice" / "one.service"
    group.mkdir(parents=True)
    (group / "cpu.max").write_text(text)
    (directory / "cgroup").write_text("0::/system.slice/one.service\n")
    return cores(directory / "cgroup", str(directory))


@pytest.mark.parametrize(("text", "most"), [("100000 100000\n", 1), ("1000 100000\n", 1)])
def test_a_quota_of_the_container_or_service_counts(tmp_path: Path, text: str, most: int) -> None:
    assert quota(tmp_path, text) == most


@pytest.mark.parametrize("text", ["max 100000\n", "10000000 100000\n", "unreadable\n", ""])
def test_without_a_tighter_quota_it_is_the_cores_of_the_machine(tmp_path: Path, text: str) -> None:
    assert quota(tmp_path, text) == cores(NOWHERE) >= 1


def test_so_many_run_as_are_configured_and_one_under_mitmweb() -> None:
    assert [wanted(Server(workers=number), web=False) for number in (1, 7)] == [1, 7]
    assert wanted(Server(workers="auto"), web=False) == cores()
    assert wanted(Server(workers="auto"), web=True) == 1


@pytest.mark.parametrize("text", ["0", "257", "-1", "all", ""])
def test_a_number_that_nobody_can_mean_is_refused_in_words(thinkback: Command, text: str) -> None:
    done = thinkback("up", f"--workers={text}")

    assert done.returncode == 2
    assert "give auto or a number from 1 to 256." in done.stderr
    assert not list(thinkback.directory.iterdir())


def test_mitmweb_and_several_workers_are_refused_in_words(thinkback: Command) -> None:
    done = thinkback("up", "--web", "--workers=2")

    assert (done.returncode, done.stderr) == (
        1,
        "mitmweb shows the traffic of one process: leave out --web or --workers.\n",
    )
