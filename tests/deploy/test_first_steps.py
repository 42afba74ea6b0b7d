"""Who follows the README on a machine that has nothing gets a conversation with its reasoning
back, and an address that Cursor can use.

The README's own code blocks are followed, with another upstream and the repository's address.
HARDEN=1 does it without uv and without anything that was fetched before, on more machines.
"""

import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy.fresh import (
    ROOT,
    Terminal,
    make_terminal,
    old_python,
    publish,
    served_pythons,
)
from tests.deploy.test_image import installer
from tests.harden.figure import at_scale
from tests.support.client import Conversation, sdk
from tests.support.provider import StrictProvider
from tests.support.tunnels import install_tunnels

README = (ROOT / "README.md").read_text("utf-8")
HERE = Path(sys.base_prefix, "bin", f"python3.{sys.version_info.minor}")
SECONDS = 60
CACHED = at_scale(suite=True, full=False)


def commands(heading: str) -> list[str]:
    """What the first code block below a heading tells people to enter."""
    block = README.split(f"\n## {heading}\n")[1].split("```sh\n")[1].split("```")[0]
    return [line.partition("  #")[0].strip() for line in block.splitlines()]


def entered(command: str) -> int:
    """How many commands that are."""
    return len(command.split("&&"))


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return publish(tmp_path_factory.mktemp("repository"))


@pytest.fixture
def provider() -> Iterator[StrictProvider]:
    with StrictProvider() as provider:
        yield provider


def mine(command: str, repository: Path, provider: StrictProvider) -> str:
    """The command with what a reader has to put in."""
    for example, own in (
        ("git clone …", f"git clone {repository}"),
        ("https://api.deepseek.com", provider.base_url),
        ("sk-…", "sk-good"),
    ):
        command = command.replace(example, own)
    assert "…" not in command
    return command


def machine(directory: Path, python: Path | None) -> Terminal:
    uv = Path(installer()) if CACHED else None
    return make_terminal(directory, python=python, uv=uv)


def talk(printed: str, provider: StrictProvider) -> None:
    """Have a conversation as a client that drops reasoning, with what the start has printed."""
    base_url = re.findall(r"^  Base URL +(\S+)$", printed, re.MULTILINE)[-1]
    key = re.search(r"^  API key +(sk-\w{43})$", printed, re.MULTILINE)
    assert key
    with sdk(base_url, key[1]) as client:
        Conversation(client, "deepseek-v4-pro").run(3)
    assert not provider.rejections


@pytest.mark.skipif(CACHED, reason="asked for by HARDEN=1")
def test_four_commands_and_a_minute_lead_to_a_restored_conversation(
    tmp_path: Path, repository: Path, provider: StrictProvider
) -> None:
    terminal = machine(tmp_path, HERE)
    *first, last = [mine(each, repository, provider) for each in commands("Start")]
    start, [doctor] = last.replace("make tunnel", "make run"), commands("When it does not work")
    began = time.monotonic()
    for command in first:
        terminal(command)
    with terminal.running(start, "(docs/operating.md).\n") as printed:
        talk(printed, provider)
        took = time.monotonic() - began
        found = terminal(doctor)
    assert sum(map(entered, (*first, start, doctor))) <= 4
    assert "turn 1: restored, turn 2: restored" in found
    assert took <= SECONDS


def test_a_machine_with_an_old_python_gets_one_and_an_address_for_cursor(
    tmp_path: Path, repository: Path, provider: StrictProvider
) -> None:
    terminal = machine(tmp_path, old_python())
    *first, start = [mine(each, repository, provider) for each in commands("Start")]
    install_tunnels(tmp_path / "bin", "cloudflared")  # this is a command, too
    with served_pythons(tmp_path) as mirror:
        terminal.environment |= mirror.environment
        for command in first:
            terminal(command)
        with terminal.running(start, "In Cursor, under Settings") as printed:
            talk(printed, provider)
    assert len(mirror.asked) == 1
    assert sum(map(entered, (*first, start))) + 1 <= 6
    assert printed.startswith("Installing what Thinkback needs into .venv\nNo Python here is ")


def test_where_no_python_can_be_fetched_it_says_how_to_get_one(
    tmp_path: Path, repository: Path, provider: StrictProvider
) -> None:
    terminal = machine(tmp_path, old_python())
    for command in commands("Start")[:-1]:
        terminal(mine(command, repository, provider))
    terminal.environment |= {"UV_PYTHON_INSTALL_MIRROR": "http://127.0.0.1:9"}
    terminal.environment |= {"UV_HTTP_RETRIES": "0"}
    printed = terminal("make install || true")
    assert "could not fetch one: the lines above say why.\nInstall one" in printed
