"""What docs/formats.md says of each combination of formats is what happens: every row, for
every upstream.

Each thing that a client can say is sent to each upstream, and what came there is read as
what a client of the upstream's format would have said.
"""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from addon.formats.chat import patch_request as chat_request
from addon.formats.cursor import is_plain
from addon.formats.neutral.adapt import lowered
from addon.formats.neutral.problem import RequestError
from addon.formats.neutral.request import WireFormat
from addon.formats.translate import CLIENTS, UPSTREAMS
from addon.formats.wire.splice import members
from addon.translation.abilities import abilities_of
from shared.config.schema import Upstream
from tests.addon.formats.sayings import BASES, SAYINGS, Json, Saying

DOCUMENT = Path(__file__).parents[3] / "docs" / "formats.md"
HEADINGS: dict[WireFormat, str] = {
    "chat": "### What a Chat Completions client says",
    "responses": "### What a Responses client says",
    "messages": "### What a Messages client says",
}
COLUMNS: dict[str, WireFormat] = {
    "Chat Completions": "chat",
    "Responses": "responses",
    "Messages": "messages",
}
SERVED: dict[WireFormat, tuple[Upstream, str]] = {
    "chat": (Upstream(name="c", base_url="https://api.deepseek.com"), "deepseek-v4-pro"),
    "responses": (
        Upstream(name="r", base_url="https://r.openai.azure.com/openai/v1", api="responses"),
        "gpt-5",
    ),
    "messages": (
        Upstream(name="m", base_url="https://api.anthropic.com", api="messages"),
        "claude-sonnet-4-6",
    ),
}
NOTHING: list[Any] = [None, "", [], (), {}, False, [None]]


def became(saying: Saying, client: WireFormat, upstream: WireFormat) -> str:
    """What becomes of it: `yes`, `changed`, `left out` or `refused`."""
    body: Json = BASES[client] | saying.members
    served, model = SERVED[upstream]
    abilities = abilities_of(served, model)
    try:
        said = CLIENTS[client].decode(json.dumps(body).encode())
        sent = UPSTREAMS[upstream].encode(lowered(said, abilities).request, model, abilities)
    except RequestError:
        return "refused"
    wanted = saying.says(said, body)
    assert wanted not in NOTHING, "the saying says nothing"
    found = saying.says(CLIENTS[upstream].decode(sent), json.loads(sent))
    if found == wanted:
        return "yes"
    return "left out" if found in NOTHING else "changed"


def table(client: WireFormat) -> dict[tuple[str, WireFormat], str]:
    """The cells of the document's table: (what is said, upstream) -> what becomes of it."""
    lines = (
        DOCUMENT.read_text()
        .partition(HEADINGS[client] + "\n")[2]
        .lstrip()
        .split("\n\n")[0]
        .splitlines()
    )
    head, _, *rows = ([cell.strip() for cell in line.strip("|").split("|")] for line in lines)
    formats = [COLUMNS[name] for name in head[1:]]
    return {
        (row[0], at): re.sub(r":.*", "", cell)
        for row in rows
        for at, cell in zip(formats, row[1:], strict=True)
    }


CASES = [
    (client, upstream)
    for client in HEADINGS
    for upstream in SERVED
    if not client == upstream == "chat"
]


@pytest.mark.parametrize(("client", "upstream"), CASES, ids=[" over ".join(case) for case in CASES])
def test_the_document_says_what_becomes_of_everything(
    client: WireFormat, upstream: WireFormat
) -> None:
    written = {what: cell for (what, at), cell in table(client).items() if at == upstream}
    assert written == {
        what: became(saying, client, upstream) for what, saying in SAYINGS[client].items()
    }


@pytest.mark.parametrize(
    "what", [what for what in SAYINGS["chat"] if what not in ("Custom tools", "`stream`")]
)
def test_a_chat_client_loses_nothing_on_a_chat_upstream(what: str) -> None:
    body = json.dumps(BASES["chat"] | SAYINGS["chat"][what].members).encode()
    assert is_plain(members(body))
    sent = chat_request.encode(chat_request.decode(body), model="m", edits={}, extra=[])
    assert json.loads(sent) == json.loads(body)
