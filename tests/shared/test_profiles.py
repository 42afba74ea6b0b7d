"""The profile table is sound and finds the right row."""

import re

import pytest

from shared.config.schema import PROFILE_NAMES
from shared.profiles import (
    Profile,
    Profiles,
    budget_members,
    builtin_profiles,
    decide_profile,
    kept_members,
    merged_profiles,
    thinking_members,
)


def chosen(*, name: str = "", host: str = "llm.example", model: str = "m") -> str:
    return decide_profile(builtin_profiles(), name=name, host=host, model=model)[0].name


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
        ("llm.example", "moonshotai/Kimi-K2-Thinking", "kimi-thinking"),
        ("api.moonshot.ai", "kimi-k2.5", "kimi"),
        ("api.moonshot.ai", "kimi-k2.6", "kimi-keep"),
        ("api.moonshot.ai", "kimi-k3", "kimi-thinking"),
        ("dashscope-intl.aliyuncs.com", "qwen3.7-max", "qwen"),
        ("api.minimax.io", "MiniMax-M2.7", "minimax"),
        ("openrouter.ai", "deepseek/deepseek-v4-pro", "openrouter"),
        ("ai-gateway.vercel.sh", "anthropic/claude-opus-4.8", "vercel"),
        ("generativelanguage.googleapis.com", "gemini-3.1-pro-preview", "gemini"),
        ("api.x.ai", "grok-4.3", "xai"),
        ("api.mistral.ai", "magistral-medium-latest", "mistral"),
        ("api.groq.com", "qwen/qwen3-32b", "groq"),
        ("api.cerebras.ai", "gpt-oss-120b", "cerebras"),
        ("api.cerebras.ai", "zai-glm-4.7", "cerebras-glm"),
        ("api.together.xyz", "zai-org/GLM-5.1", "together"),
        ("api.fireworks.ai", "accounts/fireworks/models/kimi-k2p6", "fireworks"),
        ("api.siliconflow.cn", "moonshotai/Kimi-K2-Thinking", "siliconflow"),
        ("ark.cn-beijing.volces.com", "doubao-seed-2-0", "ark"),
        ("api.sambanova.ai", "DeepSeek-R1", "sambanova"),
        ("integrate.api.nvidia.com", "qwen/qwen3", "vllm"),
        ("api.deepinfra.com", "m", "open-models"),
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
def test_a_profile_says_what_it_was_chosen_by(
    name: str, host: str, model: str, decided: str
) -> None:
    assert decide_profile(builtin_profiles(), name=name, host=host, model=model)[1] == decided


def test_a_named_profile_decides_before_all() -> None:
    assert chosen(name="vllm", host="api.deepseek.com", model="deepseek-v4-pro") == "vllm"


def test_the_vendor_s_own_members_are_for_its_own_host() -> None:
    def kept(host: str) -> object:
        return decide_profile(builtin_profiles(), name="", host=host, model="glm-5")[0].keep

    assert kept("api.z.ai")
    assert not kept("llm.example")


# -- members ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("profile", "effort", "members"),
    [
        ("deepseek-v4", "off", {"thinking": {"type": "disabled"}}),
        ("deepseek-v4", "none", {"thinking": {"type": "disabled"}}),
        ("deepseek-v4", "minimal", {"thinking": {"type": "enabled"}, "reasoning_effort": "low"}),
        ("deepseek-v4", "medium", {"thinking": {"type": "enabled"}, "reasoning_effort": "high"}),
        ("deepseek-v4", "max", {"thinking": {"type": "enabled"}, "reasoning_effort": "max"}),
        ("openrouter", "xhigh", {"reasoning": {"effort": "xhigh"}}),
        ("gemini", "max", {"reasoning_effort": "high"}),
        ("kimi-thinking", "off", {"reasoning_effort": "low"}),
        (
            "vllm",
            "low",
            {
                "chat_template_kwargs": {"enable_thinking": True, "thinking": True},
                "reasoning_effort": "low",
            },
        ),
        ("sambanova", "high", {}),
        ("deepseek-v4", "", {}),
        ("deepseek-v4", "hardest", {}),
    ],
)
def test_an_effort_is_said_in_the_profile_s_words(
    profile: str, effort: str, members: object
) -> None:
    assert thinking_members(builtin_profiles()[profile], effort) == members


@pytest.mark.parametrize(
    ("profile", "members"),
    [
        ("qwen", {"enable_thinking": True, "thinking_budget": 5000}),
        ("openrouter", {"reasoning": {"max_tokens": 5000}}),
        ("deepseek-v4", {}),
    ],
)
def test_a_budget_is_said_where_the_profile_has_a_word_for_it(
    profile: str, members: object
) -> None:
    assert budget_members(builtin_profiles()[profile], 5000) == members


@pytest.mark.parametrize("profile", builtin_profiles().values(), ids=builtin_profiles())
def test_efforts_have_names_that_are_known(profile: Profile) -> None:
    assert profile.efforts.keys() <= {"off", "minimal", "low", "medium", "high", "xhigh", "max"}


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({}, {"thinking": {"type": "enabled", "clear_thinking": False}}),
        (
            {"thinking": {"type": "disabled"}},
            {"thinking": {"type": "disabled", "clear_thinking": False}},
        ),
        ({"thinking": {"type": "enabled", "clear_thinking": True}}, {}),
        ({"thinking": "odd"}, {}),
    ],
    ids=str,
)
def test_what_the_client_says_itself_wins(given: dict[str, object], kept: object) -> None:
    assert kept_members(builtin_profiles()["glm"].keep, given) == kept


# -- a user's own ----------------------------------------------------------------------------------


def test_a_user_s_profile_is_tried_first() -> None:
    table = merged_profiles({"mine": {"hosts": ["*.z.ai"], "writes": ["thoughts"], "tags": True}})
    mine, _ = decide_profile(table, name="", host="api.z.ai", model="glm-5")
    assert (mine.name, mine.family, mine.writes, mine.tags, mine.none) == (
        "mine",
        "mine",
        ("thoughts",),
        True,
        "like-others",
    )
    assert set(table) == {"mine", *builtin_profiles()}


def test_a_user_s_profile_may_bring_a_family_of_its_own() -> None:
    builtin = Profiles().families
    assert {"deepseek", "kimi", "generic", "messages"} <= builtin
    assert Profiles({"mine": {}, "house": {"like": "kimi"}}).families == builtin | {"mine"}


def test_a_user_s_profile_may_be_like_another() -> None:
    mine = merged_profiles({"mine": {"like": "kimi", "models": ["house-"]}})["mine"]
    assert (mine.family, mine.scope, mine.hosts, mine.models) == ("kimi", "calls", (), ("house-",))


def test_a_built_in_profile_can_be_changed() -> None:
    glm = merged_profiles({"glm": {"keep": {}}})["glm"]
    assert (glm.keep, glm.hosts, glm.family) == ({}, builtin_profiles()["glm"].hosts, "glm")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"like": "nobody"}, "profiles.mine.like: 'nobody' is none of"),
        ({"scope": "some"}, "profiles.mine: Invalid enum value 'some'"),
        ({"wirtes": []}, "profiles.mine: Object contains unknown field `wirtes`"),
        ({"models": ["("]}, "profiles.mine.models: a pattern is malformed"),
        ({"missing": []}, "profiles.mine.missing: needs at least one step"),
    ],
    ids=str,
)
def test_a_profile_that_makes_no_sense_is_refused_in_words(
    row: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        merged_profiles({"mine": row})


# -- what providers say ----------------------------------------------------------------------------
