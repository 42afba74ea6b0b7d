"""Coding agents that are programs, run without a screen as their users run them, with nothing
else to talk to.

Their settings: https://developers.openai.com/codex/config-reference,
https://code.claude.com/docs/en/env-vars, https://docs.continue.dev/cli/quickstart,
https://docs.cline.bot/cline-cli/overview, https://qwenlm.github.io/qwen-code-docs/en/users/configuration/settings
and https://aider.chat/docs/llms/openai-compat.html.
"""

import json
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec
import pytest

from tests.clients.install import AIDER, PLACE
from tests.support.gateway import Gateway

__all__ = ("MODEL", "PROGRAMS", "SECONDS", "Agent", "Seat")

type Agent = Callable[[Seat, Sequence[str]], str]
"""Tells the agent each of these in one conversation; what it answered last. Raises
AssertionError when it did not end well.
"""

type Command = Sequence[str | Path]

SECONDS = 90
MODEL = "deepseek-v4-pro"
NOWHERE = "http://127.0.0.1:9"
CLINE = PLACE / "node_modules/@cline/cli-linux-x64/bin/cline"
CODEX = """
model = "{model}"
model_provider = "thinkback"
web_search = "disabled"
check_for_update_on_startup = false

[model_providers.thinkback]
name = "Thinkback"
base_url = "{base_url}"
env_key = "THINKBACK_API_KEY"
wire_api = "responses"
request_max_retries = 1
stream_max_retries = 0

[analytics]
enabled = false
"""
CONTINUE = """
name: Thinkback
version: 1.0.0
schema: v1
models:
  - name: Thinkback
    provider: openai
    model: {model}
    apiBase: {base_url}
    apiKey: {key}
"""
CLINE_SETTINGS = {"telemetryOptOut": True, "autoUpdateEnabled": False}
QWEN_CODE_SETTINGS = {
    "memory": {"enableManagedAutoMemory": False},
    "general": {"enableAutoUpdate": False},
}


class Seat(msgspec.Struct, frozen=True):
    """Where an agent works."""

    folder: Path
    gateway: Gateway
    key: str
    model: str = MODEL

    @property
    def home(self) -> Path:
        """Where it keeps its settings and conversations."""
        return self.folder.parent / "home"


def _codex(seat: Seat, prompts: Sequence[str]) -> str:
    _write(
        seat.home / "config.toml",
        CODEX.format(model=seat.model, base_url=seat.gateway.base_url),
    )
    command = _node("@openai/codex/bin/codex.js", "exec")
    told = ["--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox"]
    environment = {"CODEX_HOME": str(seat.home), "THINKBACK_API_KEY": seat.key}
    first = [*command, "--strict-config", *told]
    return _converse(
        seat, prompts, environment, first=first, later=[*command, "resume", "--last", *told]
    )


def _claude_code(seat: Seat, prompts: Sequence[str]) -> str:
    first = _node("@anthropic-ai/claude-code/cli-wrapper.cjs", "-p", "--model", seat.model)
    first.append("--dangerously-skip-permissions")
    environment = {
        "CLAUDE_CONFIG_DIR": str(seat.home),
        "ANTHROPIC_BASE_URL": seat.gateway.origin,
        "ANTHROPIC_AUTH_TOKEN": seat.key,
        "CLAUDE_CODE_MAX_RETRIES": "1",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "IS_SANDBOX": "1",  # else it refuses to skip permissions as root
    }
    return _converse(seat, prompts, environment, first=first, later=[*first, "--continue"])


def _continue(seat: Seat, prompts: Sequence[str]) -> str:
    _write(
        seat.home / ".continue/config.yaml",
        CONTINUE.format(model=seat.model, base_url=seat.gateway.base_url, key=seat.key),
    )
    first = _node("@continuedev/cli/dist/cn.js", "--auto", "-p")
    environment = {"CONTINUE_TELEMETRY_ENABLED": "0"}
    return _converse(seat, prompts, environment, first=first, later=[*first, "--resume"])


def _cline(seat: Seat, prompts: Sequence[str]) -> str:
    """It is told one thing: without a terminal it begins conversations, and goes on with none."""
    (prompt,) = prompts
    if not CLINE.exists():
        pytest.skip("Cline's program for this kind of machine is not in the lock file")
    _write(seat.home / ".cline/data/settings/global-settings.json", json.dumps(CLINE_SETTINGS))
    # Else it leaves a process running, for its next start.
    environment = {"CLINE_SESSION_BACKEND_MODE": "local"}
    account = ["-k", seat.key, "-m", seat.model, "-b", seat.gateway.base_url]
    _run([CLINE, "auth", "openai-compatible", *account], seat, environment)
    return _run([CLINE, prompt], seat, environment)


def _qwen_code(seat: Seat, prompts: Sequence[str]) -> str:
    _write(seat.home / ".qwen/settings.json", json.dumps(QWEN_CODE_SETTINGS))
    first = _node("@qwen-code/qwen-code/cli-entry.js", "--yolo")
    environment = {
        "OPENAI_BASE_URL": seat.gateway.base_url,
        "OPENAI_API_KEY": seat.key,
        "OPENAI_MODEL": seat.model,
    }
    return _converse(seat, prompts, environment, first=first, later=[*first, "--continue"])


def _aider(seat: Seat, prompts: Sequence[str]) -> str:
    """It is told everything in one run: what it restores of an earlier one is another
    conversation.
    """
    quiet = ["--no-git", "--no-check-update", "--analytics-disable", "--no-show-model-warnings"]
    plain = ["--no-pretty", "--no-fancy-input", "--yes-always"]
    environment = {
        "OPENAI_API_KEY": seat.key,
        "OPENAI_API_BASE": seat.gateway.base_url,
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # else it waits for the list of prices
    }
    command = [AIDER / "bin/aider", "--model", f"openai/{seat.model}", *quiet, *plain]
    files = sorted(file.name for file in seat.folder.iterdir())
    return _run([*command, *files], seat, environment, typed="\n".join([*prompts, ""]))


def _write(file: Path, content: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content, "utf-8")
    return file


def _node(script: str, *arguments: str | Path) -> list[str | Path]:
    return ["node", PLACE / "node_modules" / script, *arguments]


def _converse(
    seat: Seat,
    prompts: Sequence[str],
    environment: Mapping[str, str],
    *,
    first: Command,
    later: Command,
) -> str:
    """What the last of the commands wrote, each of which is given one of the prompts."""
    said = _run([*first, prompts[0]], seat, environment)
    for prompt in prompts[1:]:
        said = _run([*later, prompt], seat, environment)
    return said


def _run(command: Command, seat: Seat, environment: Mapping[str, str], typed: str = "") -> str:
    """What the program wrote to its standard output; every other server than those of this
    machine is out of reach.
    """
    with subprocess.Popen(
        command,
        cwd=seat.folder,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(seat.home),
            "LANG": "C.UTF-8",
            "HTTPS_PROXY": NOWHERE,
            "HTTP_PROXY": NOWHERE,
            "NO_PROXY": "127.0.0.1",
            **environment,
        },
        stdin=subprocess.PIPE if typed else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
    ) as running:
        try:
            said, complained = running.communicate(typed, timeout=SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(running.pid, signal.SIGKILL)
            said, complained = running.communicate()
    assert running.returncode == 0, f"{said}\n{complained}\n{seat.gateway.log}"
    return said


PROGRAMS: dict[str, Agent] = {
    "aider": _aider,
    "claude-code": _claude_code,
    "cline": _cline,
    "codex": _codex,
    "continue": _continue,
    "qwen-code": _qwen_code,
}
