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

from addon.formats.neutral.problem import RequestError
from addon.formats.neutral.protocols import Head
from addon.formats.neutral.request import WireFormat
from addon.formats.paths import classify
from addon.formats.translate import CLIENTS
from addon.formats.wire.splice import array_text, elements, members, with_members
from addon.translation.pair import Identity, Wanted
from addon.translation.read import read
from shared.config.schema import Upstream
from shared.profiles import builtin_profiles
from tests.addon.formats.hearing import Json
from tests.addon.formats.sayings import BASES, SAYINGS
from tests.support.grammar import own_state

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


PATHS: dict[WireFormat, str] = {
    "chat": "/v1/chat/completions",
    "responses": "/v1/responses",
    "messages": "/v1/messages",
}
BY_ITS_MODEL = {"System messages further on": "claude-opus-4-8"}
"""What not every model takes, and one that does."""

MIXED: dict[WireFormat, set[str]] = {
    "chat": {
        "Custom tools",
        "Tools of Responses that the client runs (`local_shell`, …)",
        "Tools of Messages that the client runs (`bash_20250124`, …)",
        "Hosted tools of Responses (`web_search_preview`, …)",
        "Server tools of Messages (`web_search_20250305`, …)",
    },
    "responses": set(),
    "messages": set(),
}
"""What makes a body one of those that Cursor mixes, which are always translated."""

IN_ITS_WORDS: dict[WireFormat, set[str]] = {
    "chat": {"Developer messages at the beginning"},
    "responses": set(),
    "messages": set(),
}
"""What an upstream of the same format gets under the name that it knows."""

OURS = {"include", "model", "store", "stream_options"}
"""Members that the gateway sets for itself; docs/formats.md says how."""


def sent(body: bytes, client: WireFormat, upstream: Upstream, model: str) -> bytes:
    """What the upstream gets, as an exchange has it made. Raises RequestError."""
    endpoint = classify(PATHS[client])
    assert endpoint is not None
    side = read(endpoint, body, lambda copy: copy, None).for_upstreams([upstream])
    pair = side.pair(Identity(Head("1", 7, "m"), lambda *_: "", own_state))
    wanted = Wanted(
        upstream=upstream,
        model=model,
        profile=builtin_profiles()["field-generic"],
        sure=False,
        edits={},
        effort="",
        thinking_off=False,
        unusable=frozenset(),
        pictures=True,
        allows_consecutive_user_messages=True,
    )
    return pair.body_for(wanted).body


def became(what: str, client: WireFormat, upstream: WireFormat) -> str:
    """What becomes of it: `yes`, `changed`, `left out` or `refused`; empty where it arrives
    as it came.
    """
    saying = SAYINGS[client][what]
    body: Json = BASES[client] | saying.members
    served, model = SERVED[upstream]
    if client == upstream:
        model = BY_ITS_MODEL.get(what, model)
    came = json.dumps(body).encode()
    try:
        got = sent(came, client, served, model)
    except RequestError:
        return "refused"
    if client == upstream and stayed(came, got) and not OURS & saying.members.keys():
        return ""
    wanted = saying.says(CLIENTS[client].decode(came), body)
    assert wanted not in NOTHING, "the saying says nothing"
    found = saying.says(CLIENTS[upstream].decode(got), json.loads(got))
    if client == upstream and found == wanted and stayed(came, got):
        return ""
    if found == wanted:
        return "yes"
    return "left out" if found in NOTHING else "changed"


def stayed(came: bytes, got: bytes) -> bool:
    """Whether all members are there, and in their place, byte for byte, but for ours."""
    return theirs(came) == theirs(got)


def theirs(body: bytes) -> list[tuple[str, bytes]]:
    """The members that are not ours, without ids by which nothing can be found."""
    return [
        (name, array_text(list(map(without_id, elements(raw)))) if name == "input" else raw)
        for name, raw in members(body)
        if name not in OURS
    ]


def without_id(item: bytes) -> bytes:
    found = json.loads(item)
    thinks = found.get("type") == "reasoning" and "encrypted_content" not in found
    return with_members(item, {"id": b""}) if thinks else item


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


CASES = [(client, upstream) for client in HEADINGS for upstream in SERVED]


@pytest.mark.parametrize(("client", "upstream"), CASES, ids=[" over ".join(case) for case in CASES])
def test_the_document_says_what_becomes_of_everything(
    client: WireFormat, upstream: WireFormat
) -> None:
    written = {what: cell for (what, at), cell in table(client).items() if at == upstream}
    assert written == {what: became(what, client, upstream) for what in SAYINGS[client]}


@pytest.mark.parametrize("client", HEADINGS)
def test_a_client_loses_nothing_on_an_upstream_of_its_format(client: WireFormat) -> None:
    lost = {what for (what, at), cell in table(client).items() if at == client and cell}
    assert lost == MIXED[client] | IN_ITS_WORDS[client]
