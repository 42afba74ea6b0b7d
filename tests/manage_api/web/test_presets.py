import pytest

from manage_api.web.presets import Preset, presets
from shared.config.schema import Upstream
from shared.store.upstreams import upstream_faults

BY_NAME = {preset.name: preset for preset in presets()}


@pytest.mark.parametrize("preset", presets(), ids=lambda preset: preset.name)
def test_a_preset_is_an_upstream_that_can_be_stored(preset: Preset) -> None:
    for url in filter(None, (preset.base_url, preset.messages)):
        assert upstream_faults({"name": preset.name, "base_url": url, "api": preset.format}) == {}


def test_names_are_told_apart() -> None:
    assert len(BY_NAME) == len(presets()) >= 9


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("anthropic", "/v1/messages"),
        ("openai", "/v1/responses"),
        ("azure", "/openai/v1/responses"),
        ("deepseek", "/v1/chat/completions"),
    ],
)
def test_requests_go_where_the_provider_documents_it(name: str, path: str) -> None:
    preset = BY_NAME[name]

    assert Upstream(name=name, base_url=preset.base_url, api=preset.format).request_path == path


@pytest.mark.parametrize("name", ["deepseek", "mimo", "kimi", "glm", "minimax"])
def test_an_endpoint_for_messages_is_told_and_leads_there(name: str) -> None:
    preset = BY_NAME[name]

    assert preset.hint.endswith(f"It also offers Messages at {preset.messages}.")
    path = Upstream(name=name, base_url=preset.messages, api="messages").request_path
    assert path.endswith("/anthropic/v1/messages")
