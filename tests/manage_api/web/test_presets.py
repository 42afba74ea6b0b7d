from manage_api.web.connect import SERVED
from manage_api.web.presets import presets
from shared.store.upstreams import upstream_faults


def test_a_preset_is_an_upstream_that_can_be_stored() -> None:
    for preset in presets():
        assert upstream_faults({"name": preset.name, "base_url": preset.base_url}) == {}, preset.title


def test_only_what_is_served_is_offered() -> None:
    assert {preset.format for preset in presets()} <= SERVED
    assert "anthropic" not in {preset.name for preset in presets()}


def test_names_are_told_apart() -> None:
    names = [preset.name for preset in presets()]

    assert len(set(names)) == len(names) >= 9
