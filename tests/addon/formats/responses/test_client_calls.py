"""A call that a model writes carelessly still becomes an item that a client can read."""

from typing import Any

import pytest

from addon.formats.neutral.request import Tool
from addon.formats.responses.client_calls import members_of


@pytest.mark.parametrize(
    ("kind", "arguments", "members"),
    [
        (
            "local_shell",
            '{"command":"ls -l","timeout_ms":null}',
            {"action": {"type": "exec", "command": ["bash", "-lc", "ls -l"], "env": {}}},
        ),
        ("local_shell", "ls", {"action": {"type": "exec", "command": [], "env": {}}}),
        (
            "shell",
            '{"commands":"ls"}',
            {"action": {"commands": ["ls"]}, "environment": {"type": "local"}},
        ),
        (
            "apply_patch",
            '{"type":"delete_file","path":"a","diff":""}',
            {"operation": {"type": "delete_file", "path": "a"}},
        ),
        (
            "apply_patch",
            '{"path":"a","diff":"+b"}',
            {"operation": {"type": "update_file", "path": "a", "diff": "+b"}},
        ),
        ("computer", "[]", {"pending_safety_checks": []}),
        ("computer_use_preview", "", {"pending_safety_checks": []}),
        ("tool_search", '{"query":"a"', {"execution": "client", "arguments": {}}),
    ],
)
def test_arguments_of_any_shape_become_members(
    kind: str, arguments: str, members: dict[str, Any]
) -> None:
    assert members_of(Tool(name=kind, declared={"type": kind}), arguments) == members
