import re
import sys
from pathlib import Path
from typing import Any

import pytest

from manage_api.addresses import lan_urls
from manage_api.command import report
from manage_api.domains.upstreams.schemas import KeyReport, UpstreamReport
from shared.config.schema import ModelRewrite, Registration, Server, Snapshot, Upstream
from shared.store.bootstrap import FirstAccount

UPSTREAM = Upstream(
    name="deepseek",
    base_url="https://api.deepseek.com",
    api_keys=("sk-secret-number-one", "sk-secret-number-two"),
    models=("deepseek-v4-pro",),
    model_rewrites=(
        ModelRewrite(from_="gpt-5", to="deepseek-v4-pro"),
        ModelRewrite(from_pattern="^a(.*)$", to_template="b{1}"),
    ),
)
CONFIGURED = Snapshot(upstreams=(UPSTREAM,))


def at(public_url: str) -> Snapshot:
    return Snapshot(server=Server(public_url=public_url))


@pytest.mark.parametrize("public_url", ["", "http://192.168.1.5:8787", "https://localhost"])
def test_an_address_cursor_cannot_reach_is_called_that(public_url: str) -> None:
    assert "Cursor can't" in report.ready(at(public_url), "1.0")


def test_the_command_to_enter_is_found_from_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / ".venv/bin/thinkback"
    program.parent.mkdir(parents=True)
    program.touch(0o755)
    monkeypatch.setattr(sys, "executable", str(program.with_name("python")))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", "")

    assert "`.venv/bin/thinkback tunnel`" in report.reachability(Snapshot())

    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    assert f"`{program} tunnel`" in report.reachability(Snapshot())

    monkeypatch.setenv("PATH", str(program.parent))
    assert "`thinkback tunnel`" in report.reachability(Snapshot())


def test_a_public_name_needs_no_warning() -> None:
    text = report.ready(at("https://think.example.com"), "1.0")

    assert "Cursor can't" not in text
    assert "unencrypted" not in text


def test_a_tunnel_tells_the_three_lines_for_cursor_and_the_risks() -> None:
    opened = Snapshot(
        server=Server(public_url="https://a.ts.net"),
        registration=Registration(allowed=True),
        upstreams=(UPSTREAM,),
    )
    _, *lines = report.tunnel(opened, "tailscale", "A note.").splitlines()

    assert [line.split()[0] for line in lines[:3]] == ["Base", "API", "Model"]
    assert lines[0].endswith("https://a.ts.net/v1")
    assert lines[2].endswith("deepseek-v4-pro, gpt-5")
    assert "A note." in lines
    assert any("can register" in line for line in lines)


def test_while_a_tunnel_is_being_opened_nobody_is_told_to_open_one() -> None:
    text = report.ready(CONFIGURED, "1.0", tunnelled=True)

    assert "Cursor can't" not in text
    assert "the address for Cursor follows" in text


def test_keys_in_clear_are_warned_of() -> None:
    assert "unencrypted" in report.ready(at("http://think.example.com"), "1.0")


def test_without_an_upstream_the_next_step_is_said() -> None:
    assert "UPSTREAM_BASE_URL" in report.ready(Snapshot(), "1.0")
    assert "UPSTREAM_BASE_URL" in report.checked(Snapshot())


def test_ready_tells_the_models_and_where_to_look() -> None:
    text = report.ready(CONFIGURED, "1.0", "http://127.0.0.1:8081/?token=t")

    assert "deepseek-v4-pro, gpt-5" in text
    assert "http://127.0.0.1:8787/\n" in text
    assert "http://127.0.0.1:8081/?token=t" in text
    assert "UPSTREAM_BASE_URL" not in text


def test_a_local_user_interface_is_found_at_the_sidecar() -> None:
    assert "http://127.0.0.1:8788/" in report.ready(Snapshot(server=Server(ui="local")), "1.0")


def test_the_check_shows_the_endpoint_and_masks_the_keys() -> None:
    text = report.checked(CONFIGURED)

    assert "https://api.deepseek.com/v1/chat/completions" in text
    assert "…-one, …-two" in text
    assert "secret" not in text
    assert "gpt-5 → deepseek-v4-pro, ^a(.*)$ → b{1}" in text


@pytest.mark.parametrize(
    ("settings", "profile"),
    [
        ({"base_url": "https://api.deepseek.com"}, "deepseek-v4, by its host"),
        (
            {"models": ("glm-5", "kimi-k2.5")},
            "glm-5: glm, by the model's name; kimi-k2.5: kimi, by the model's name",
        ),
        ({"profile": "mimo"}, "mimo, as configured"),
        ({"api": "messages"}, "messages, by its API format"),
        ({}, "field-generic, as neither its host nor the model's name is known"),
    ],
)
def test_the_check_says_which_profile_an_upstream_got_and_why(
    settings: dict[str, Any], profile: str
) -> None:
    upstream = Upstream(**{"name": "up", "base_url": "https://up.example"} | settings)
    assert f"profile   {profile}" in report.checked(Snapshot(upstreams=(upstream,)))


def test_the_check_says_whether_strangers_may_register() -> None:
    closed = report.checked(Snapshot(registration=Registration(allowed=False)))
    with_codes = report.checked(Snapshot(registration=Registration(invite_codes=("x-1",))))

    assert "Registration   open to anyone who reaches the gateway" in report.checked(Snapshot())
    assert "Registration   closed (ALLOW_REGISTRATION=true opens it)" in closed
    assert "Registration   open to anyone with an invite code" in with_codes
    assert "x-1" not in with_codes


def test_a_given_password_is_not_repeated() -> None:
    generated = report.first_account(
        FirstAccount(username="admin", password="made-up", api_key="sk-1")
    )
    given = report.first_account(FirstAccount(username="admin", password=None, api_key="sk-1"))

    assert "made-up" in generated
    assert "ADMIN_PASSWORD" in given
    assert "sk-1" in given


def tried(*models: str, message: str = "It works.", works: bool = True) -> UpstreamReport:
    key = KeyReport(key="…-one", works=works, status=200, latency_ms=1, message=message)
    return UpstreamReport(works=works, message=message, models=list(models), keys=[key])


def test_ready_tells_what_upstreams_have_listed_but_not_hundreds() -> None:
    open_one = Snapshot(upstreams=(Upstream(name="open", base_url="https://o.example"),))
    listed = [f"m{number}" for number in range(22)]

    opened = report.tunnel(open_one, "tailscale", "", {"open": ["m0", "m1"]})

    assert opened.endswith("  m0, m1")
    assert "every model of the upstream" in report.ready(open_one, "1.0")
    assert "m0, m1\n" in report.ready(open_one, "1.0", listed={"open": listed[:2]})
    assert "m19 and 2 more\n" in report.ready(open_one, "1.0", listed={"open": listed})


def test_the_check_tells_what_a_test_of_each_upstream_has_found() -> None:
    good = report.checked(CONFIGURED, {"deepseek": tried("a", "b")})
    bad = {"deepseek": tried(message="The upstream rejects this key (401).", works=False)}

    assert "It works." in good
    assert "a, b" in good
    assert "rejects this key (401)" in report.checked(CONFIGURED, bad)
    assert report.faults(bad) == ["Upstream deepseek: The upstream rejects this key (401)."]
    assert report.faults({"deepseek": tried("a")}) == []


def test_a_line_of_the_launcher_is_a_line_of_the_log(capsys: pytest.CaptureFixture[str]) -> None:
    report.tell("The sidecar ended.")
    report.tell("The gateway works:\n  at home")
    line, *block = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d The sidecar ended\.", line)
    assert block == ["The gateway works:", "  at home"]


def test_the_start_tells_where_other_machines_find_it_and_what_that_costs() -> None:
    everywhere = Server(listen_addr="0.0.0.0:8787")
    text = report.ready(Snapshot(server=everywhere, registration=Registration(allowed=True)), "1.0")
    for url in lan_urls(everywhere.listen_addr):
        assert f"{url}/v1" in text
    assert "cross the network unencrypted" in text
    assert "Anyone who reaches the gateway can register" in text
    assert "LAN URLs" not in report.ready(CONFIGURED, "1.0")
