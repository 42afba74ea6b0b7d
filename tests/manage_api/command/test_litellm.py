"""LiteLLM's config.yaml gives upstreams that serve the same names."""

from collections.abc import Mapping
from typing import Any

import pytest

from manage_api.command.foreign import Found
from manage_api.command.litellm import read_litellm
from shared.routes import routes


def model(name: str, model: str, **params: Any) -> dict[str, Any]:
    return {"model_name": name, "litellm_params": {"model": model, "api_key": "sk-1", **params}}


def read(*models: dict[str, Any], environ: Mapping[str, str] = {}, **sections: Any) -> Found:
    return read_litellm({"model_list": list(models), **sections}, environ)


@pytest.mark.parametrize(
    ("given", "url", "key", "asked"),
    [
        (
            model("gpt-4o", "azure/gpt-4o-eu", api_base="https://a.openai.azure.com/", api_version="2024-10-21"),
            "https://a.openai.azure.com/openai/deployments/gpt-4o-eu/chat/completions?api-version=2024-10-21",
            "api-key",
            "gpt-4o-eu",
        ),
        (
            model("vllm", "openai/facebook/opt-125m", api_base="http://0.0.0.0:4000"),
            "http://0.0.0.0:4000/chat/completions",
            "authorization",
            "facebook/opt-125m",
        ),
        (model("d", "deepseek/deepseek-chat"), "https://api.deepseek.com/v1/chat/completions", "authorization", "deepseek-chat"),
        (model("c", "anthropic/claude-opus-4-8"), "https://api.anthropic.com/v1/messages", "x-api-key", "claude-opus-4-8"),
        (model("q", "ollama_chat/qwen3"), "http://localhost:11434/v1/chat/completions", "authorization", "qwen3"),
        (model("gpt-5", "gpt-5"), "https://api.openai.com/v1/chat/completions", "authorization", "gpt-5"),
        (
            model("g", "azure/gpt-5", api_base="https://a.openai.azure.com", api_version="preview") | {"model_info": {"mode": "responses"}},
            "https://a.openai.azure.com/openai/responses?api-version=preview",
            "api-key",
            "gpt-5",
        ),
    ],
)  # fmt: skip
def test_a_model_is_asked_where_litellm_asks_it(
    given: dict[str, Any], url: str, key: str, asked: str
) -> None:
    found = read(given)
    [route] = routes(found.upstreams, given["model_name"])
    upstream = route.upstream

    assert route.model == asked
    origin = upstream.base_url.split("//")[0] + f"//{upstream.base_url.split('/')[2]}"
    assert origin + upstream.target(asked) == url
    assert upstream.key_header[0] == key
    assert found.left_out == []
    assert routes(found.upstreams, "any-other-name") == []


def test_keys_come_from_the_environment_and_take_turns() -> None:
    found = read(
        model("a", "deepseek/a", api_key="os.environ/ONE"),
        model("a", "deepseek/a", api_key="sk-2"),
        model("b", "deepseek/b", api_key="os.environ/MISSING", api_base="https://b.example/v1"),
        environ={"ONE": "sk-1"},
    )

    assert [(each.name, each.api_keys, each.models) for each in found.upstreams] == [
        ("deepseek", ("sk-1", "sk-2"), ("a",)),
        ("deepseek-2", (), ("b",)),
    ]
    assert found.left_out == ["b: its key, os.environ/MISSING"]


def test_aliases_and_efforts_become_rewrites() -> None:
    found = read(
        model("gpt", "openai/gpt-5", reasoning_effort="high"),
        router_settings={"model_group_alias": {"gpt-4": "gpt", "hid": {"model": "gpt"}}},
    )

    for name in ("gpt", "gpt-4", "hid"):
        [route] = routes(found.upstreams, name)
        assert (route.model, route.effort) == ("gpt-5", "high")


def test_what_is_left_out_is_told() -> None:
    found = read(
        model("any/*", "anthropic/*"),
        model("e", "openai/embed") | {"model_info": {"mode": "embedding"}},
        model("b", "bedrock/claude"),
        model("v", "hosted_vllm/m"),
        model("x", "xai/grok-5", rpm=5, api_base="ftp://x"),
        litellm_settings={"drop_params": True},
        general_settings={"master_key": "sk-1234"},
    )

    assert found.upstreams == []
    assert [line.partition(":")[0] for line in found.left_out] == [
        "any/*", "e", "b", "v", "x", "xai", "litellm_settings", "general_settings", "Its keys for clients",
    ]  # fmt: skip


@pytest.mark.parametrize("tree", [None, [], {}, {"model_list": "x"}])
def test_another_file_is_refused(tree: Any) -> None:
    with pytest.raises(ValueError, match="no model_list"):
        read_litellm(tree, {})
