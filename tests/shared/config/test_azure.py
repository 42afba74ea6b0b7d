"""AzureGptProxy's variables alone define an upstream that works."""

import pytest

from shared.config.schema import Tiers
from shared.routes import known_models, routes
from tests.shared.config.conftest import ConfigFile

SAMPLE = {
    "BIG_MODEL": "gpt-5.2-codex",
    "SMALL_MODEL": "gpt-5.2",
    "AZURE_OPENAI_ENDPOINT": "https://mine.openai.azure.com/",
    "AZURE_OPENAI_API_KEY": "azure-key",
    "AZURE_API_VERSION": "2024-10-21",
    "CURSOR_AZURE_DEPLOYMENT": "gpt-5.2-codex",
    "ANTHROPIC_AUTH_TOKEN": "my-own-token",
}
"""Every name of its `.env.sample`."""


def test_cursors_names_and_claudes_lead_to_the_deployments(config: ConfigFile) -> None:
    snapshot = config.load("", **SAMPLE)
    found = {
        model: [(route.model, route.effort) for route in routes(snapshot.upstreams, model, tiers)]
        for tiers in [snapshot.tiers]
        for model in ["gpt-high", "gpt-medium", "gpt-low", "gpt-minimal", "claude-haiku-4-5"]
    }

    assert found == {
        "gpt-high": [("gpt-5.2-codex", "high")],
        "gpt-medium": [("gpt-5.2-codex", "medium")],
        "gpt-low": [("gpt-5.2-codex", "low")],
        "gpt-minimal": [("gpt-5.2-codex", "minimal")],
        "claude-haiku-4-5": [("gpt-5.2", "medium")],
    }
    assert known_models(snapshot.upstreams)[:2] == ["gpt-5.2-codex", "gpt-5.2"]
    assert snapshot.upstreams[0].key_header == ("api-key", "")
    assert snapshot.auth_token == "my-own-token"


@pytest.mark.parametrize(
    ("endpoint", "version", "target"),
    [
        ("https://a.openai.azure.com/", "", "/openai/v1/responses"),
        ("https://a.openai.azure.com", "2024-10-21", "/openai/v1/responses"),
        ("https://a.openai.azure.com/?api-version=2024-10-21", "", "/openai/v1/responses"),
        (
            "https://a.openai.azure.com/?api-version=2025-04-01-preview",
            "",
            "/openai/responses?api-version=2025-04-01-preview",
        ),
        (
            "https://a.openai.azure.com/openai/responses?api-version=2024-10-21",
            "2025-03-01-preview",
            "/openai/responses?api-version=2025-03-01-preview",
        ),
        ("https://a.openai.azure.com", "preview", "/openai/v1/responses?api-version=preview"),
    ],
)
def test_the_version_decides_the_path_as_azure_has_it(
    config: ConfigFile, endpoint: str, version: str, target: str
) -> None:
    environ = SAMPLE | {"AZURE_OPENAI_ENDPOINT": endpoint, "AZURE_API_VERSION": version}
    [upstream] = config.load("", **environ).upstreams

    assert (upstream.scheme, upstream.host) == ("https", "a.openai.azure.com")
    assert upstream.target("any") == target


def test_efforts_that_are_set_stay(config: ConfigFile) -> None:
    snapshot = config.load('[tiers]\nsmall_effort = "low"\n', **SAMPLE, BIG_EFFORT="high")

    assert snapshot.tiers == Tiers(
        small_model="gpt-5.2", small_effort="low", big_model="gpt-5.2-codex", big_effort="high"
    )


def test_without_deployments_every_name_is_one(config: ConfigFile) -> None:
    environ = {name: SAMPLE[name] for name in ("AZURE_OPENAI_ENDPOINT", "AZURE_OPENAI_API_KEY")}
    [upstream] = config.load("", **environ).upstreams

    assert (upstream.models, upstream.model_rewrites) == ((), ())


def test_they_change_nothing_where_upstreams_are_configured(config: ConfigFile) -> None:
    mine = '[[upstreams]]\nname = "a"\nbase_url = "https://a.b"\n'
    tiers = {name: SAMPLE[name] for name in ("BIG_MODEL", "SMALL_MODEL")}

    assert config.load(mine, **SAMPLE) == config.load(mine, **tiers)
    assert config.load("", ANTHROPIC_AUTH_TOKEN="claude-codes-own").auth_token == ""


@pytest.mark.parametrize(
    ("environ", "complaint"),
    [
        ({"AZURE_OPENAI_ENDPOINT": "mine"}, "AZURE_OPENAI_ENDPOINT: must start with http"),
        ({"AZURE_OPENAI_API_KEY": ""}, "AZURE_OPENAI_API_KEY: is missing: set it, or unset"),
        ({"ANTHROPIC_AUTH_TOKEN": "short"}, "ANTHROPIC_AUTH_TOKEN: must be 8 to 512 ASCII"),
        ({"AZURE_API_VERSION": "a b"}, "AZURE_API_VERSION: must"),
    ],
)
def test_a_bad_variable_is_named_itself(
    config: ConfigFile, environ: dict[str, str], complaint: str
) -> None:
    complaints = config.complaints("", **SAMPLE | environ)

    assert len(complaints) == 1
    assert complaint in complaints[0]


def test_the_token_is_no_key_of_the_file(config: ConfigFile) -> None:
    [complaint] = config.complaints('auth_token = "a-long-token"\n')

    assert "can only be set with the environment variable ANTHROPIC_AUTH_TOKEN" in complaint
