"""Faults that can be seen in the configuration, planted one by one."""

from typing import Any

import pytest

from manage_api.domains.doctor.configuration import (
    check_any_upstream,
    check_configuration,
    check_problems,
)
from manage_api.domains.doctor.findings import Finding, ok, warning
from shared.config.schema import ModelRewrite, Registration, Server, Snapshot, Upstream
from shared.errors import Problem

CLOSED = Registration(allowed=False)
PUBLIC = Server(public_url="https://think.example.com")
DEEPSEEK = Upstream(
    name="deepseek", base_url="https://api.deepseek.com", models=("deepseek-v4-pro",)
)
ANY = Upstream(name="any", base_url="https://api.example.com")


def found(**fields: Any) -> list[Finding]:
    """What is found, but that the tests may run as root."""
    snapshot = Snapshot(**({"server": PUBLIC, "registration": CLOSED} | fields))
    return [each for each in check_configuration(snapshot) if each.check != "root"]


def named(name: str, **fields: str) -> Upstream:
    rewrite = ModelRewrite(from_=name, to="deepseek-v4-pro")
    return Upstream(
        name="a", base_url="https://api.deepseek.com", models=(), model_rewrites=(rewrite,)
    )


def test_a_sound_one_has_no_fault_and_no_warning() -> None:
    findings = found(upstreams=(DEEPSEEK, ANY))

    assert [each for each in findings if each.verdict != "ok"] == []
    assert {each.check for each in findings} == {"address", "catch-all", "profile"}


@pytest.mark.parametrize(
    ("fields", "check", "verdict", "remedy"),
    [
        pytest.param(
            {"server": Server(public_url="http://think.example.com")},
            "encryption",
            "fault",
            "put TLS in front",
            id="keys in clear",
        ),
        pytest.param(
            {"upstreams": (Upstream(name="far", base_url="http://api.example.com"),)},
            "upstream encryption",
            "warning",
            "use https://",
            id="upstream in clear",
        ),
        pytest.param(
            {"registration": Registration(allowed=True)},
            "registration",
            "warning",
            "invite_codes",
            id="open registration",
        ),
        pytest.param(
            {"server": Server(public_url="https://localhost:8443")},
            "address",
            "fault",
            "thinkback tunnel",
            id="localhost",
        ),
        pytest.param(
            {"server": Server(public_url="https://192.168.1.5")},
            "address",
            "fault",
            "thinkback tunnel",
            id="private address",
        ),
        pytest.param(
            {"server": Server()}, "address", "warning", "set PUBLIC_URL", id="no public address"
        ),
        pytest.param(
            {"upstreams": (ANY, DEEPSEEK)},
            "catch-all",
            "warning",
            "move it behind the others",
            id="catch-all before others",
        ),
        pytest.param(
            {"upstreams": (named("gpt-5.9"),)},
            "model names",
            "warning",
            "neutral name",
            id="a gpt- name",
        ),
        pytest.param(
            {"upstreams": (named("my-claude-x"),)},
            "model names",
            "warning",
            "neutral name",
            id="a claude- name",
        ),
        pytest.param(
            {"upstreams": (named("composer-2"),)},
            "model names",
            "warning",
            "neutral name",
            id="a name of Cursor's own",
        ),
    ],
)
def test_a_planted_fault_is_found_with_its_remedy(
    fields: dict[str, Any], check: str, verdict: str, remedy: str
) -> None:
    findings = found(**({"upstreams": (DEEPSEEK,)} | fields))

    [finding] = [each for each in findings if each.verdict != "ok"]
    assert (finding.check, finding.verdict) == (check, verdict)
    assert remedy in finding.remedy[:1].lower() + finding.remedy[1:]
    assert finding.seen.endswith(".")


def test_a_configuration_without_an_upstream_is_found_unless_what_runs_goes_by_another() -> None:
    other = warning("configuration", "It has another environment.", "Restart it.")

    [finding] = check_any_upstream(Snapshot(), [ok("gateway", "It answers.")])

    assert (finding.check, finding.verdict) == ("upstreams", "fault")
    assert "[[upstreams]]" in finding.remedy
    assert list(check_any_upstream(Snapshot(), [other])) == []


def test_each_setting_that_is_not_applied_is_told() -> None:
    problem = Problem("recall.max_age_days", "must be a number", source="database")

    [finding] = check_problems([problem])

    assert (finding.check, finding.verdict) == ("configuration", "fault")
    assert "recall.max_age_days" in finding.seen


def test_a_profile_is_told_with_what_it_was_chosen_by() -> None:
    [profile] = [each for each in found(upstreams=(DEEPSEEK,)) if each.check == "profile"]

    assert "deepseek-v4, by its host" in profile.seen
