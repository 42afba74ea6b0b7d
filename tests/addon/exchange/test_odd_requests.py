"""A request in which something else stands for a kind or a role is read or refused in words, on
its way to any upstream.
"""

import json
from typing import Any

import pytest

from addon.exchange.verdict import Reply
from addon.formats.neutral.request import WireFormat
from tests.addon.desk import Desk, upstream
from tests.addon.translation.clients import PATHS, Json, asking

MEMBERS = {"chat": "messages", "responses": "input", "messages": "messages"}
ODD: tuple[Any, ...] = ([], {}, ["text"], {"type": "text"}, 1, True, "\ud800")


def bodies(client: WireFormat, odd: Any) -> list[Json]:
    """A request whose tool, item, part, role or choice is of that kind."""
    body = asking(client, [("user", "hi")], tools=("Read",))
    said, name = body[MEMBERS[client]][0], MEMBERS[client]
    part = {"type": odd, "text": "hi"}
    return [
        body | {"tools": [{"type": odd, "name": "Read", "input_schema": {}}]},
        body | {name: [said | {"type": odd}]},
        body | {name: [{"type": odd, "call_id": "c", "output": "x"}, said]},
        body | {name: [said | {"content": [part]}]},
        body | {name: [said, {"role": odd, "content": [part]}]},
        body | {"tool_choice": {"type": odd}},
    ]


@pytest.mark.parametrize("client", PATHS)
@pytest.mark.parametrize("api", PATHS)
def test_a_kind_that_is_no_word_is_read_or_refused(
    desk: Desk, client: WireFormat, api: WireFormat
) -> None:
    desk.upstreams = (upstream(api=api),)
    for odd in ODD:
        for body in bodies(client, odd):
            found = desk.intake(path=PATHS[client]).open(json.dumps(body).encode())

            if isinstance(found, Reply):
                assert found.status == 400, (body, found)
