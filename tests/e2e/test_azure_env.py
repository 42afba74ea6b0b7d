"""AzureGptProxy's `.env` as it is gives a gateway for Cursor and for Claude Code."""

import re
from pathlib import Path

import pytest

from tests.support.client import Conversation, sdk
from tests.support.gateway import Gateway
from tests.support.responder import StrictResponder
from tests.support.talks import MessagesTalk, Result, Talk, anthropic_sdk

TOKEN = "what-claude-code-has"
ENV = """\
# Azure OpenAI
BIG_MODEL=my-big
SMALL_MODEL=my-small
AZURE_OPENAI_ENDPOINT={endpoint}
AZURE_OPENAI_API_KEY=azure-key

CURSOR_AZURE_DEPLOYMENT=my-gpt-5
"""


def converse(talk: Talk) -> None:
    """Run two turns, the second of which has the first one's reasoning to be restored."""
    talk.say("Fix the bug, please.")
    for streamed in (True, False):
        said = talk.ask(streamed=streamed)
        talk.answer([Result(call, "fine") for call in said.calls])
        if not said.calls:
            talk.say("Go on.")


@pytest.mark.parametrize("token", [TOKEN, ""], ids=["token", "no token"])
def test_the_file_beside_the_configuration_is_enough(tmp_path: Path, token: str) -> None:
    with StrictResponder() as azure:
        origin = azure.base_url.removesuffix("/openai/v1")
        text = ENV.format(endpoint=f"{origin}/?api-version=preview")
        if token:
            text += f"ANTHROPIC_AUTH_TOKEN={token}\n"
        (tmp_path / ".env").write_text(text, "utf-8")
        with Gateway(tmp_path, first=True) as gateway:
            key = token or re.findall(r"sk-\w{43}", gateway.log)[0]
            with sdk(f"{gateway.origin}/cursor/v1", key) as client:
                cursor = Conversation(client, "gpt-high")
                cursor.ask(streamed=True)
                cursor.ask(streamed=False)
            with anthropic_sdk(gateway.origin, key) as claude:
                converse(MessagesTalk(claude, "claude-haiku-4-5", carries=False))
                converse(MessagesTalk(claude, "claude-sonnet-5", carries=False))
    assert azure.rejections == []
    assert [(body["model"], body["reasoning"]["effort"]) for body in azure.bodies] == [
        *[("my-gpt-5", "high")] * 2,
        *[("my-small", "medium")] * 2,
        *[("my-big", "medium")] * 2,
    ]


def test_the_secrets_are_in_no_programs_environment(tmp_path: Path) -> None:
    environment = {
        "AZURE_OPENAI_ENDPOINT": "https://a.openai.azure.com",
        "AZURE_OPENAI_API_KEY": "azure-key",
        "ANTHROPIC_AUTH_TOKEN": TOKEN,
    }
    with Gateway(tmp_path, environment) as gateway:
        _, *programs = gateway.processes()
        assert len(programs) >= 2
        for program in programs:
            assert not {TOKEN, "azure-key"} & set(program.environ().values())
