"""What the README's first screen says is true: its transcript is what a run prints, its
commands exist.
"""

import json
import os
import re
from pathlib import Path

import pytest

from tests.support.client import post
from tests.support.gateway import Gateway, eventually, upstream_environment
from tests.support.provider import Answer, StrictProvider
from tests.support.tunnels import install_tunnels
from tests.support.turns import Call, Turn

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")
ASK = {"role": "user", "content": "What does main.py do?"}
TOOLS = [{"type": "function", "function": {"name": "Read", "parameters": {"type": "object"}}}]
VARIES = [
    (r"sk-\w{43}", "sk-KEY"),
    (r"\w{4}-\w{4}-\w{4}-\w{4}$", "PASSWORD"),
    (r"…\w{4}\b", "…SUFX"),
    (r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "TIME"),
    (r"127\.0\.0\.1:\d+", "ADDRESS"),
    (r"http://127\.0\.0\.9:\d+|https://[\w-]+\.trycloudflare\.com", "TUNNEL"),
    (r"\b\d+\.\d{3}s", "SECONDS"),
    (r"tokens=\d+\+\d+", "TOKENS"),
]


def shape(line: str) -> str:
    """The line without what differs from run to run."""
    for pattern, name in VARIES:
        line = re.sub(pattern, name, line)
    return line


@pytest.fixture
def log(tmp_path: Path) -> str:
    """What the gateway prints from an empty directory over an agent's two requests through its
    tunnel.
    """
    call = Call("call_00_a", "Read", '{"path": "main.py"}')
    with (
        StrictProvider() as provider,
        Gateway(
            tmp_path,
            environment(provider.base_url, install_tunnels(tmp_path / "bin", "cloudflared")),
            arguments=("--tunnel",),
        ) as gateway,
    ):
        assert eventually(lambda: "In Cursor, under Settings" in gateway.log, 20), (
            "it serves before its tunnel is open"
        )
        provider.script(Answer(turn=Turn(reasoning="Which file? main.py.", calls=(call,))))
        first = ask(gateway, [ASK])
        del first["reasoning_content"]
        result = {
            "role": "tool",
            "tool_call_id": first["tool_calls"][0]["id"],
            "content": "print('hello')",
        }
        ask(gateway, [ASK, first, result])
        assert not provider.rejections
        return gateway.log


def environment(base_url: str, programs: str) -> dict[str, str]:
    """As in the README: the first password is a random one, the upstream is asked for its models,
    and a program that opens tunnels is found in the directory `programs`.
    """
    return upstream_environment(base_url) | {
        "ADMIN_PASSWORD": "",
        "MODELS_REFRESH_SECONDS": "",
        "PATH": f"{programs}:{os.environ['PATH']}",
    }


def ask(gateway: Gateway, messages: list[dict[str, object]]) -> dict[str, object]:
    key = re.search(r"sk-\w{43}", gateway.log)
    assert key
    body = json.dumps({"model": "deepseek-v4-pro", "messages": messages, "tools": TOOLS}).encode()
    [origin] = re.findall(r"^  Base URL  (\S+)/v1$", gateway.log, re.MULTILINE)
    answer = post(origin, "/v1/chat/completions", body, key=key[0], **{"user-agent": "Cursor/1.0"})
    return dict(answer.json["choices"][0]["message"])


def test_the_transcript_is_what_a_run_prints(log: str) -> None:
    block = re.search(r"```console\n\$ [^\n]* make tunnel\n(.*?)```", README, re.DOTALL)
    assert block
    printed = re.sub(r"\nThinkback runs as root.*?\.\n", "", log, flags=re.DOTALL)
    assert [shape(line) for line in printed.splitlines()] == [
        shape(line) for line in block[1].splitlines()
    ]


def test_every_command_that_the_readme_names_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"\bmake ([a-z]+)", README)) <= targets


def test_every_document_that_the_readme_names_exists() -> None:
    assert all((ROOT / link).exists() for link in re.findall(r"\]\(([^):]+)\)", README))
