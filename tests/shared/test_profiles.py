"""The profile table is sound, finds the right row, and knows what providers say when reasoning is missing."""

import pytest

from shared.config.schema import PROFILE_NAMES
from shared.profiles import (
    Profile,
    builtin_profiles,
    choose_profile,
    decide_profile,
    says_reasoning_is_missing,
)


def chosen(*, name: str = "", host: str = "llm.example", model: str = "m") -> str:
    return choose_profile(builtin_profiles(), name=name, host=host, model=model).name


def test_the_configuration_knows_the_table_s_names() -> None:
    assert set(PROFILE_NAMES) == set(builtin_profiles())


@pytest.mark.parametrize("profile", builtin_profiles().values(), ids=builtin_profiles())
def test_a_profile_can_do_what_its_ladder_says(profile: Profile) -> None:
    assert profile.missing
    assert len(set(profile.missing)) == len(profile.missing)
    assert bool(profile.off) == ("off" in profile.missing)


@pytest.mark.parametrize(
    ("host", "model", "profile"),
    [
        ("api.deepseek.com", "anything", "deepseek-v4"),
        ("API.DeepSeek.com", "deepseek-chat", "deepseek-v4"),
        ("api.xiaomimimo.com", "m", "mimo"),
        ("token-plan-cn.xiaomimimo.com", "m", "mimo"),
        ("api.moonshot.ai", "m", "kimi"),
        ("api.z.ai", "m", "glm"),
        ("api.openai.com", "deepseek-v4-pro", "none"),
        ("res.openai.azure.com", "m", "none"),
        ("llm.example", "deepseek-v4-pro", "deepseek-v4"),
        ("llm.example", "deepseek-ai/DeepSeek-V4-Flash:free", "deepseek-v4"),
        ("llm.example", "deepseek-chat", "deepseek-v4"),
        ("llm.example", "deepseek-reasoner", "deepseek-legacy"),
        ("llm.example", "deepseek-v3.2", "deepseek-legacy"),
        ("llm.example", "deepseek-r1-0528", "deepseek-r1"),
        ("llm.example", "mimo-v2.5-pro", "mimo"),
        ("llm.example", "moonshotai/Kimi-K2-Thinking", "kimi"),
        ("llm.example", "glm-4.7", "glm"),
        ("llm.example", "Qwen3-Max", "qwen"),
        ("llm.example", "my-deepseek-v4", "field-generic"),
        ("deepseek.com.example", "m", "field-generic"),
        ("llm.example", "gpt-5", "field-generic"),
    ],
)
def test_the_host_decides_before_the_model(host: str, model: str, profile: str) -> None:
    assert chosen(host=host, model=model) == profile


@pytest.mark.parametrize(
    ("name", "host", "model", "decided"),
    [
        ("vllm", "api.deepseek.com", "deepseek-v4-pro", "name"),
        ("", "api.deepseek.com", "glm-5", "host"),
        ("", "llm.example", "glm-5", "model"),
        ("", "llm.example", "gpt-5", "default"),
    ],
)
def test_a_profile_says_what_it_was_chosen_by(name: str, host: str, model: str, decided: str) -> None:
    assert decide_profile(builtin_profiles(), name=name, host=host, model=model)[1] == decided


def test_a_named_profile_decides_before_all() -> None:
    assert chosen(name="vllm", host="api.deepseek.com", model="deepseek-v4-pro") == "vllm"


@pytest.mark.parametrize(
    "text",
    [
        "The reasoning_content in the thinking mode must be passed back to the API.",
        "the `reasoning_content` in the thinking mode MUST be passed back to the API.".replace("`", ""),
        "Missing reasoning_content field in the assistant message at message index 2",
        "thinking is enabled but reasoning_content is missing in assistant tool call message at index 3",
        "The reasoning_text in the thinking mode must be passed back",
    ],
)
def test_a_provider_that_misses_reasoning_is_understood(text: str) -> None:
    assert says_reasoning_is_missing(f"Param Incorrect\n{text}\n400")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Invalid request: messages must not be empty",
        "max_tokens must be passed as an integer",
        "The tool_call_id must be passed back",
        "reasoning_effort is not supported by this model",
        "unknown field reasoning_content",
    ],
)
def test_other_complaints_are_not_taken_for_it(text: str) -> None:
    assert not says_reasoning_is_missing(text)
