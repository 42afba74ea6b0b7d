"""Shells complete our commands by a script that we print."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.manage_api.command.running import THINKBACK, Command


@pytest.fixture
def thinkback(tmp_path: Path) -> Command:
    return Command(tmp_path)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_a_script_that_asks_us(thinkback: Command, shell: str) -> None:
    script = thinkback("completion", shell).stdout

    assert f"_THINKBACK_COMPLETE={shell}_complete" in script


def test_other_shells_are_refused_in_words(thinkback: Command) -> None:
    done = thinkback("completion", "tcsh")

    assert done.returncode == 2
    assert "'tcsh' is not one of 'bash', 'zsh', 'fish'" in done.stderr


def test_bash_completes_commands_with_it(thinkback: Command) -> None:
    typed = (
        'eval "$(thinkback completion bash)"; COMP_WORDS=(thinkback us); COMP_CWORD=1; '
        'type compopt >/dev/null; _thinkback_completion thinkback; echo "${COMPREPLY[@]}"'
    )
    path = f"{THINKBACK.parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", typed],
        cwd=thinkback.directory,
        env=thinkback.environ | {"PATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "user\n"
