"""new-api's channels give upstreams that serve the same names."""

import json
from typing import Any

import pytest

from manage_api.command.channels import read_channels
from shared.routes import routes


def channel(name: str, kind: int, models: str, **members: Any) -> dict[str, Any]:
    """A channel as its API lists it."""
    return {
        "id": 1,
        "type": kind,
        "key": "sk-1",
        "status": 1,
        "name": name,
        "weight": 0,
        "base_url": "",
        "other": "",
        "models": models,
        "group": "default",
        "model_mapping": "",
        "priority": 0,
        **members,
    }


def test_models_keys_and_mappings_come_over_in_the_order_of_priority() -> None:
    mapping = json.dumps({"gpt-4o": "deepseek-chat"})
    found = read_channels(
        [
            channel("Backup", 1, "gpt-4o", base_url="https://relay.example"),
            channel("Deep", 43, "deepseek-chat,gpt-4o", key="sk-1\nsk-2", model_mapping=mapping, priority=9),
        ]
    )  # fmt: skip

    assert [route.upstream.name for route in routes(found.upstreams, "gpt-4o")] == [
        "Deep",
        "Backup",
    ]
    deep, backup = found.upstreams
    assert (deep.base_url, deep.api_keys) == ("https://api.deepseek.com/v1", ("sk-1", "sk-2"))
    assert routes([deep], "gpt-4o")[0].model == "deepseek-chat"
    assert backup.base_url + "/chat/completions" == "https://relay.example/v1/chat/completions"
    assert found.left_out == []


@pytest.mark.parametrize(
    ("given", "target"),
    [
        (channel("z", 26, "m"), "/api/paas/v4/chat/completions"),
        (channel("a", 14, "m"), "/v1/messages"),
        (channel("c", 8, "m", base_url="https://c.d/x/chat/completions"), "/x/chat/completions"),
        (
            channel("z", 3, "m", base_url="https://a.openai.azure.com", other="2024-10-21"),
            "/openai/deployments/m/chat/completions?api-version=2024-10-21",
        ),
    ],
)
def test_a_channel_is_asked_where_new_api_asks_it(given: dict[str, Any], target: str) -> None:
    [upstream] = read_channels([given]).upstreams

    assert upstream.target("m") == target


@pytest.mark.parametrize(
    "wrap", [lambda c: {"data": c}, lambda c: {"data": {"items": c}}], ids=["list", "page"]
)
def test_the_apis_wrapping_is_taken_off(wrap: Any) -> None:
    assert len(read_channels(wrap([channel("a", 1, "m")])).upstreams) == 1


def test_what_is_left_out_is_told() -> None:
    found = read_channels(
        [
            channel("off", 1, "m", status=2),
            channel("paint", 2, "m"),
            channel("none", 1, ""),
            channel("own", 8, "m", base_url="https://c.d/x"),
            channel("azure", 3, "m"),
            channel("keyless", 1, "m", key="", param_override='{"a": 1}'),
        ]
    )

    assert [each.name for each in found.upstreams] == ["keyless"]
    assert [line.partition(":")[0] for line in found.left_out] == [
        "off", "paint", "none", "own", "azure", "keyless", "keyless",
    ]  # fmt: skip


@pytest.mark.parametrize("tree", [None, {}, {"data": "x"}])
def test_another_file_is_refused(tree: Any) -> None:
    with pytest.raises(ValueError, match="no list of channels"):
        read_channels(tree)
