"""Coding agents, run as their users run them against a gateway, with nothing else to talk to.

Their settings: https://developers.openai.com/codex/config-reference,
https://code.claude.com/docs/en/env-vars and
https://openai.github.io/openai-agents-python/models/.
"""

import asyncio
import os
import signal
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from tests.clients.errand import DONE, PROMPT
from tests.clients.install import PLACE
from tests.support.gateway import Gateway

__all__ = ("AGENTS", "Agent", "Seat")

type Agent = Callable[[Seat], None]
"""Does the errand; raises AssertionError when the agent did not end well."""

SECONDS = 90
MODEL = "deepseek-v4-pro"
NOWHERE = "http://127.0.0.1:9"
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


class Seat(msgspec.Struct, frozen=True):
    """Where an agent works."""

    folder: Path
    gateway: Gateway
    key: str


def _codex(seat: Seat, model: str) -> None:
    home = _home(seat)
    (home / "config.toml").write_text(
        CODEX.format(model=model, base_url=seat.gateway.base_url), "utf-8"
    )
    command = ["@openai/codex/bin/codex.js", "exec", "--strict-config", "--skip-git-repo-check"]
    said = _run(
        [*command, "--dangerously-bypass-approvals-and-sandbox", PROMPT],
        seat,
        {"CODEX_HOME": str(home), "THINKBACK_API_KEY": seat.key},
    )
    assert said.strip() == DONE


def _claude_code(seat: Seat) -> None:
    said = _run(
        [
            "@anthropic-ai/claude-code/cli-wrapper.cjs",
            "-p",
            "--dangerously-skip-permissions",
            "--model",
            MODEL,
            PROMPT,
        ],
        seat,
        {
            "CLAUDE_CONFIG_DIR": str(_home(seat)),
            "ANTHROPIC_BASE_URL": seat.gateway.origin,
            "ANTHROPIC_AUTH_TOKEN": seat.key,
            "CLAUDE_CODE_MAX_RETRIES": "1",
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            "IS_SANDBOX": "1",  # else it refuses to skip permissions as root
        },
    )
    assert said.strip() == DONE


def _openai_agents(seat: Seat, *, streamed: bool) -> None:
    # Not at the top: it can't be installed everywhere, and takes 2 s.
    from agents import (
        Agent,
        AsyncOpenAI,
        ModelSettings,
        OpenAIResponsesModel,
        RunConfig,
        Runner,
        function_tool,
    )

    @function_tool
    def run(command: str) -> str:
        return subprocess.check_output(
            ["bash", "-c", command], cwd=seat.folder, text=True, timeout=SECONDS
        )

    @function_tool(name_override="Write")
    def write(file_path: str, content: str) -> str:
        Path(file_path).write_text(content, "utf-8")
        return "written"

    async def work() -> Any:
        async with AsyncOpenAI(base_url=seat.gateway.base_url, api_key=seat.key) as client:
            model = OpenAIResponsesModel(MODEL, client)
            stateless = ModelSettings(store=False, response_include=["reasoning.encrypted_content"])
            agent = Agent("coder", model=model, tools=[run, write], model_settings=stateless)
            config = RunConfig(tracing_disabled=True)
            if not streamed:
                return (await Runner.run(agent, PROMPT, run_config=config)).final_output
            running = Runner.run_streamed(agent, PROMPT, run_config=config)
            async for _ in running.stream_events():
                pass
            return running.final_output

    assert asyncio.run(work()) == DONE


def _home(seat: Seat) -> Path:
    home = seat.folder.parent / "home"
    home.mkdir()
    return home


def _run(command: list[str], seat: Seat, environment: Mapping[str, str]) -> str:
    """What the program wrote to its standard output; every other server than those of this
    machine is out of reach.
    """
    with subprocess.Popen(
        ["node", PLACE / "node_modules" / command[0], *command[1:]],
        cwd=seat.folder,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(seat.folder.parent),
            "LANG": "C.UTF-8",
            "HTTPS_PROXY": NOWHERE,
            "HTTP_PROXY": NOWHERE,
            "NO_PROXY": "127.0.0.1",
            **environment,
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
    ) as running:
        try:
            said, complained = running.communicate(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(running.pid, signal.SIGKILL)
            said, complained = running.communicate()
    assert running.returncode == 0, f"{said}\n{complained}\n{seat.gateway.log}"
    return said


AGENTS: dict[str, Agent] = {
    "openai-agents": lambda seat: _openai_agents(seat, streamed=True),
    "openai-agents, whole": lambda seat: _openai_agents(seat, streamed=False),
    "codex": lambda seat: _codex(seat, MODEL),
    "codex, gpt": lambda seat: _codex(seat, "gpt-5.5"),
    "claude-code": _claude_code,
}
"""Codex declares other tools for models that it knows."""
