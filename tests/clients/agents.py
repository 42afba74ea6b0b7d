"""Coding agents, run as their users run them against a gateway: programs, and one that is made
with a library.

Its settings: https://openai.github.io/openai-agents-python/models/.
"""

import asyncio
import subprocess
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from tests.clients.programs import MODEL, PROGRAMS, SECONDS, Agent, Seat

__all__ = ("AGENTS",)


def _openai_agents(seat: Seat, prompts: Sequence[str], *, streamed: bool) -> str:
    # Not at the top: it can't be installed everywhere, and takes 2 s.
    from agents import Agent as Assistant
    from agents import (
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

    async def work(told: list[Any]) -> Any:
        async with AsyncOpenAI(base_url=seat.gateway.base_url, api_key=seat.key) as client:
            model = OpenAIResponsesModel(MODEL, client)
            stateless = ModelSettings(store=False, response_include=["reasoning.encrypted_content"])
            agent = Assistant("coder", model=model, tools=[run, write], model_settings=stateless)
            config = RunConfig(tracing_disabled=True)
            if not streamed:
                return await Runner.run(agent, told, run_config=config)
            running = Runner.run_streamed(agent, told, run_config=config)
            async for _ in running.stream_events():
                pass
            return running

    said, history = "", list[Any]()
    for prompt in prompts:
        result = asyncio.run(work([*history, {"role": "user", "content": prompt}]))
        said, history = str(result.final_output), result.to_input_list()
    return said


def _knowing(program: str, model: str, seat: Seat, prompts: Sequence[str]) -> str:
    return PROGRAMS[program](replace(seat, model=model), prompts)


AGENTS: dict[str, Agent] = {
    "openai-agents": partial(_openai_agents, streamed=True),
    "openai-agents, whole": partial(_openai_agents, streamed=False),
    "codex": PROGRAMS["codex"],
    "codex, gpt": partial(_knowing, "codex", "gpt-5.5"),
    "claude-code": PROGRAMS["claude-code"],
    "claude-code, opus": partial(_knowing, "claude-code", "opus"),
}
"""Codex and Claude Code send other requests for models that they know."""
