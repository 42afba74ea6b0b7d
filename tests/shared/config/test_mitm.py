import json
import re
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from shared.config.mitm import (
    LAUNCHER_OPTIONS,
    OPTIONS,
    REQUIRED,
    WEB_OPTIONS,
    find_mitm,
    load_mitm,
    load_safe_mitm,
)
from shared.errors import ConfigError

ROOT = Path(__file__).parents[3]
PROBE = """
import json
import re
from mitmproxy import ctx

class Probe:
    def running(self):
        options = {name: getattr(ctx.options, name) for name in ctx.options.keys()}
        addresses = ctx.master.addons.get("proxyserver").listen_addrs()
        print("LIVE " + json.dumps({"options": options, "addresses": addresses}), flush=True)
        ctx.master.shutdown()

addons = [Probe()]
"""


def run(program: str, *arguments: str) -> str:
    """What the program of mitmproxy prints until it ends."""
    command = [str(Path(sys.executable).with_name(program)), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout


def option_names(program: str) -> set[str]:
    return {
        line.split(":")[0]
        for line in run(program, "--options").splitlines()
        if line and line[0] not in "#- "
    }


def free_port(host: str) -> int:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as listener:
        try:
            listener.bind((host, 0))
        except OSError:
            pytest.skip(f"this machine has no {host}")
        port: int = listener.getsockname()[1]
        return port


def live(program: str, arguments: list[str], script: Path) -> dict[str, Any]:
    """Options and addresses of a running mitmproxy."""
    script.write_text(PROBE)
    [line] = [
        line
        for line in run(program, *arguments, "-s", str(script)).splitlines()
        if line.startswith("LIVE ")
    ]
    found: dict[str, Any] = json.loads(line.removeprefix("LIVE "))
    return found


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_mitmdump_runs_with_exactly_these_options(tmp_path: Path, host: str) -> None:
    settings, port = load_mitm(ROOT / "mitm.toml"), free_port(host)
    listen = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    found = live(
        "mitmdump",
        settings.arguments(listen, web=False, confdir=tmp_path / "c"),
        tmp_path / "probe.py",
    )

    assert {name: found["options"][name] for name in settings.options} == settings.options
    assert found["options"]["mode"] == [f"reverse:http://127.0.0.1:9@{host}:{port}"]
    assert found["options"]["confdir"] == str(tmp_path / "c")
    assert [address[:2] for address in found["addresses"]] == [[host, port]]


def test_mitmweb_runs_with_exactly_these_options(tmp_path: Path) -> None:
    settings = load_mitm(ROOT / "mitm.toml")
    settings = replace(settings, web=settings.web | {"web_port": free_port("127.0.0.1")})
    listen = f"127.0.0.1:{free_port('127.0.0.1')}"

    found = live(
        "mitmweb",
        settings.arguments(listen, web=True, confdir=tmp_path / "c"),
        tmp_path / "probe.py",
    )

    options = settings.options | settings.web
    of_mitmdump_only = {"flow_detail"}
    assert {name: found["options"].get(name) for name in options} == options | dict.fromkeys(
        of_mitmdump_only
    )


def test_every_option_of_mitmproxy_is_known() -> None:
    dump, web = option_names("mitmdump"), option_names("mitmweb")

    assert dump == OPTIONS | LAUNCHER_OPTIONS
    assert web - dump == WEB_OPTIONS


def settings_of(tmp_path: Path, text: str) -> Path:
    (tmp_path / "mitm.toml").write_text(text)
    return tmp_path / "mitm.toml"


def test_every_kind_of_value_is_spelt_as_mitmproxy_wants_it(tmp_path: Path) -> None:
    options = 'http2 = false\ntcp_timeout = 5\nstream_large_bodies = "1m=x"\nallow_hosts = ["a", "b"]\ncerts = []\n'
    settings = load_mitm(
        settings_of(tmp_path, f'mode = "reverse:http://127.0.0.1:9"\n[options]\n{options}')
    )

    arguments = settings.arguments("localhost:80", web=False, confdir=Path("c"))

    spelt = [
        "http2=false",
        "tcp_timeout=5",
        "stream_large_bodies=1m=x",
        "allow_hosts=a",
        "allow_hosts=b",
        "certs",
    ]
    assert arguments[:2] == ["--mode", "reverse:http://127.0.0.1:9@localhost:80"]
    assert arguments[2::2] == ["--set"] * 7
    assert arguments[3::2] == ["confdir=c", *spelt]


def test_web_options_win_and_are_for_mitmweb_only(tmp_path: Path) -> None:
    text = 'mode = "reverse:http://h:9"\n[options]\nanticomp = true\n[web]\nanticomp = false\nweb_port = 1\n'
    settings = load_mitm(settings_of(tmp_path, text))

    both = [settings.arguments("h:80", web=web, confdir=Path("c"))[5::2] for web in (False, True)]

    assert both == [["anticomp=true"], ["anticomp=false", "web_port=1"]]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "mitm.toml: mode: is missing"),
        (
            'mode = "regular"',
            "mitm.toml:1: mode: must be reverse:http://host:port, without an address to listen at",
        ),
        (
            'mode = "reverse:https://a"',
            "mitm.toml:1: mode: must be reverse:http://host:port, without an address",
        ),
        (
            'mode = "reverse:http://a@:1"',
            "mitm.toml:1: mode: must be reverse:http://host:port, without an address",
        ),
        (
            "[options]\nwebsockets = false",
            ":2: options.websockets: is not an option of mitmproxy (did you mean websocket?)",
        ),
        ("[options]\nweb_port = 1", ":2: options.web_port: is not an option of mitmproxy"),
        ("[options]\nlisten_port = 1", ":2: options.listen_port: is set by Thinkback itself"),
        ('[web]\nscripts = ["a"]', ":2: web.scripts: is set by Thinkback itself"),
        ("[options]\ncerts = [1]", ":2: options.certs[0]: must be text, not a whole number"),
        (
            "[options]\ntcp_timeout = 1.5",
            ":2: options.tcp_timeout: must be true or false or a whole number or text or",
        ),
        ("[option]", ":1: option: is not a known key (did you mean options?)"),
        ("mode", ":1: syntax: is not TOML"),
    ],
)
def test_a_mistake_is_refused(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load_mitm(settings_of(tmp_path, text))

    assert complaint in str(refused.value)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is not there"):
        load_mitm(tmp_path / "mitm.toml")


def test_the_file_in_the_current_directory_comes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    elsewhere = find_mitm()
    here = settings_of(tmp_path, "")

    assert elsewhere == ROOT / "mitm.toml"
    assert find_mitm().samefile(here)


def changed(tmp_path: Path, options: str = "", web: str = "") -> Path:
    """The file as it is shipped, with other values for these lines."""
    text = (ROOT / "mitm.toml").read_text()
    for section, lines in (("[options]", options), ("[web]", web)):
        for line in filter(None, lines.split("\n")):
            name = line.partition(" ")[0]
            text = re.sub(rf"(?m)^{name} = .*\n", "", text)
            text = text.replace(f"\n{section}\n", f"\n{section}\n{line}\n")
    return settings_of(tmp_path, text)


def test_what_is_shipped_is_safe_to_run(tmp_path: Path) -> None:
    assert load_safe_mitm(ROOT / "mitm.toml", web=True) == load_mitm(ROOT / "mitm.toml")


@pytest.mark.parametrize("name", REQUIRED)
def test_an_option_that_the_gateway_rests_on_must_be_as_it_is(tmp_path: Path, name: str) -> None:
    value = '"eager"' if name == "connection_strategy" else str(not REQUIRED[name]).lower()

    with pytest.raises(ConfigError, match=f"options.{name}: must be "):
        load_safe_mitm(changed(tmp_path, f"{name} = {value}"))


@pytest.mark.parametrize(
    "name", sorted(REQUIRED.keys() - {"ssl_insecure", "validate_inbound_headers"})
)
def test_such_an_option_may_not_be_left_out(tmp_path: Path, name: str) -> None:
    text = re.sub(rf"(?m)^{name} = .*\n", "", (ROOT / "mitm.toml").read_text())

    with pytest.raises(ConfigError, match=f"options.{name}: is missing: set it to "):
        load_safe_mitm(settings_of(tmp_path, text))


@pytest.mark.parametrize(
    "line",
    [
        'hardump = "/tmp/all.har"',
        'save_stream_file = "/tmp/flows"',
        "flow_detail = 3",
        "flow_detail = 2",
        "store_streamed_bodies = true",
        'termlog_verbosity = "debug"',
        "proxy_debug = true",
        'client_replay = ["/tmp/flows"]',
        'server_replay = ["/tmp/flows"]',
        'rfile = "/tmp/flows"',
        'proxyauth = "any"',
        'upstream_auth = "a:b"',
        'modify_headers = ["/~q/Authorization/x"]',
        'modify_body = ["/~s/a/b"]',
        'map_remote = ["|a|b"]',
        'map_local = ["|a|/etc"]',
        'stickyauth = "."',
        'stickycookie = "."',
    ],
)
def test_an_option_that_gives_traffic_away_or_changes_it_is_refused(
    tmp_path: Path, line: str
) -> None:
    with pytest.raises(ConfigError, match=f"mitm.toml: options.{line.partition(' ')[0]}: must "):
        load_safe_mitm(changed(tmp_path, line))


def test_another_target_than_the_closed_port_is_refused(tmp_path: Path) -> None:
    text = (ROOT / "mitm.toml").read_text().replace(":9", ":80")

    with pytest.raises(ConfigError, match=r"mode: must be reverse:http://127\.0\.0\.1:9: "):
        load_safe_mitm(settings_of(tmp_path, text))


def test_mitmweb_is_for_this_machine_alone(tmp_path: Path) -> None:
    path = changed(tmp_path, web='web_host = "0.0.0.0"')

    with pytest.raises(ConfigError, match=r"web\.web_host: must be 127\.0\.0\.1: "):
        load_safe_mitm(path, web=True)
    assert load_safe_mitm(path)
