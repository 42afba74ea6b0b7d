import json
import os
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from subprocess import CompletedProcess

import msgspec
import pytest

from shared.config.load import load
from shared.config.schema import Upstream
from shared.security.secrets import load_secret
from shared.store import open_engine
from shared.store.settings import change_settings
from shared.store.upstreams import add_upstream
from tests.manage_api.command.running import THINKBACK, Command
from tests.support.provider import StrictProvider

LOADED = """
import sys
from manage_api.command import cli
print(*{"httpx", "litestar", "ruamel.yaml", "sqlite_utils", "tomlkit"} & sys.modules.keys())
"""


@pytest.fixture
def thinkback(tmp_path: Path) -> Command:
    """The command as a user has it, in a directory of its own."""
    return Command(tmp_path)


def rows(done: CompletedProcess[str]) -> list[dict[str, object]]:
    assert done.returncode == 0, done.stderr
    return [msgspec.json.decode(line) for line in done.stdout.splitlines()]


def test_no_command_waits_for_libraries_that_few_need() -> None:
    printed = subprocess.run(
        [sys.executable, "-c", LOADED], capture_output=True, text=True, timeout=60, check=True
    ).stdout
    assert printed.split() == []


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("user", "add", "Admin"), "There is already an account “Admin”: choose another name."),
        (("user", "add", " "), "A username can't begin or end with a space."),
        (("user", "add", "ada", "--password", "x" * 73), "at most 72 are allowed"),
        (
            ("user", "add", "ada", "--password", "changeme"),
            "Anyone could guess this password",
        ),
        (("user", "add", "ada", "--password", "short"), "Use at least 8 characters."),
        (
            ("user", "add", "Ada Lovelace", "--password", "ada lovelace"),
            "The password is the username",
        ),
        (
            ("user", "passwd", "admin", "--password", "Password1"),
            "Anyone could guess this password",
        ),
        (("user", "passwd", "admin", "--password", "short"), "Use at least 8 characters."),
        (
            ("user", "passwd", "nobody"),
            "There is no account “nobody”: see `thinkback user list`.",
        ),
        (("user", "disable", "admin"), "This is the only admin"),
        (("key", "new", "nobody"), "There is no account “nobody”"),
        (("key", "revoke", "99"), "There is no valid key 99"),
        (("stop",), "No gateway runs in the background here"),
        (("log",), "has not run in the background yet"),
        (("backup", "nowhere/copy.db"), "Can't write the copy nowhere/copy.db"),
        (("export", "nowhere/config.toml"), "Can't write nowhere/config.toml"),
    ],
    ids=lambda value: " ".join(value)[:30] if isinstance(value, tuple) else "",
)
def test_what_cannot_be_done_is_said_in_one_sentence(
    thinkback: Command, arguments: tuple[str, ...], sentence: str
) -> None:
    thinkback("user", "list")

    done = thinkback(*arguments)

    assert done.returncode == 1
    assert sentence in done.stderr
    assert (done.stdout, len(done.stderr.splitlines())) == ("", 1)


@pytest.mark.parametrize("verb", ["check", "up", "start", "status", "user list", "backup x.db"])
def test_a_broken_configuration_stops_every_command_before_it_does_anything(
    thinkback: Command, tmp_path: Path, verb: str
) -> None:
    (tmp_path / "config.toml").write_text("[server]\nlisten_adr = 'x'\n[logging]\ncolor = 'red'\n")

    done = thinkback(*verb.split())

    assert done.returncode == 2
    assert [line.split(": ")[1] for line in done.stderr.splitlines()] == [
        "server.listen_adr",
        "logging.color",
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["config.toml"]


def test_check_shows_what_is_understood(thinkback: Command) -> None:
    done = thinkback(
        "check",
        UPSTREAM_BASE_URL="https://api.deepseek.com",
        UPSTREAM_API_KEY="sk-secret-number-one",
    )

    assert done.returncode == 0
    assert "https://api.deepseek.com/v1/chat/completions" in done.stdout
    assert "secret" not in done.stdout


@pytest.mark.parametrize("verb", ["check", "up", "start"])
def test_a_public_url_with_a_path_stops_check_and_start_with_words(
    thinkback: Command, verb: str
) -> None:
    done = thinkback(verb, PUBLIC_URL="https://think.example.com/v1")

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("environment: PUBLIC_URL: must end after the host and port")


def test_a_backup_is_made_and_not_overwritten(thinkback: Command, tmp_path: Path) -> None:
    assert thinkback("backup", "copy.db").returncode == 0
    assert (tmp_path / "copy.db").stat().st_size > 0
    assert thinkback("backup", "copy.db").returncode == 1


@pytest.fixture
def stored(thinkback: Command, tmp_path: Path) -> None:
    """A setting and an upstream in the database."""
    thinkback("user", "list")
    with closing(open_engine(f"sqlite:{tmp_path}/data/adapter.db")) as engine:
        change_settings(engine, {"audit.mode": "off"}, 1)
        upstream = Upstream(name="mimo", base_url="https://a.b", api_keys=("sk-a-key-1111",))
        add_upstream(engine, load_secret(tmp_path / "data"), upstream, 1)


@pytest.mark.usefixtures("stored")
def test_what_is_stored_is_exported_into_a_file_that_only_its_owner_reads(
    thinkback: Command, tmp_path: Path
) -> None:
    done = thinkback("export", "new.toml", "--with-keys")

    assert (done.returncode, done.stderr) == (0, "")
    assert stat.S_IMODE((tmp_path / "new.toml").stat().st_mode) == 0o600
    exported = load({"CONFIG_PATH": str(tmp_path / "new.toml")})
    assert (exported.audit.mode, exported.upstreams[0].api_keys) == ("off", ("sk-a-key-1111",))
    assert thinkback("export", "new.toml").returncode == 1


@pytest.mark.usefixtures("stored")
def test_an_export_shows_no_key_unless_asked_to(thinkback: Command, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("# mine\n[recall]\nmax_mib = 5\n")

    done = thinkback("export")

    assert done.stdout.startswith("# mine\n[recall]\nmax_mib = 5\n")
    assert "PUT-KEY-1-HERE-IT-ENDS-IN-1111" in done.stdout
    assert "sk-a-key" not in done.stdout


def test_status_without_a_gateway_says_so(thinkback: Command) -> None:
    done = thinkback("status")

    assert done.returncode == 1
    assert done.stdout.count("does not answer") == 2


def test_a_backup_brings_back_what_was_there(thinkback: Command) -> None:
    thinkback("user", "add", "ada", "--password", "a long password")
    made = thinkback("backup", "copy.db")
    thinkback("user", "add", "grace", "--password", "a long password")

    done = thinkback("restore", "copy.db")

    assert (made.returncode, done.returncode) == (0, 0), made.stderr + done.stderr
    assert (thinkback.directory / "copy.db.secret").stat().st_mode & 0o777 == 0o600
    assert "before-restore-" in done.stdout
    listed = rows(thinkback("user", "list", "--json"))
    assert [user["username"] for user in listed] == ["admin", "ada"]


def test_a_backup_may_be_without_the_secret(thinkback: Command) -> None:
    assert thinkback("backup", "copy.db", "--without-secret").returncode == 0
    assert not (thinkback.directory / "copy.db.secret").exists()


def test_an_option_of_mitmproxy_that_is_not_safe_ends_the_start_with_words(
    thinkback: Command,
) -> None:
    mitm = (Path(__file__).parents[3] / "mitm.toml").read_text()
    (thinkback.directory / "mitm.toml").write_text(mitm.replace("http2 = false", "http2 = true"))

    done = [thinkback(verb) for verb in ("check", "up", "start")]

    assert [each.returncode for each in done] == [2, 2, 2]
    assert {each.stderr for each in done} == {"mitm.toml: options.http2: must be false\n"}


def test_a_sidecar_that_others_reach_ends_the_start_with_words(thinkback: Command) -> None:
    done = [thinkback(verb, ADMIN_LISTEN_ADDR="0.0.0.0:8788") for verb in ("check", "up", "start")]

    assert [each.returncode for each in done] == [1, 1, 1]
    assert all("ADMIN_LISTEN_ADDR" in each.stderr for each in done)


def test_the_check_tells_risks_and_names_that_nobody_can_resolve(thinkback: Command) -> None:
    done = thinkback("check", UPSTREAM_BASE_URL="http://api.deepseek.invalid", UPSTREAM_API_KEY="k")

    assert done.returncode == 0
    assert "can't be found" in done.stdout
    assert "cross the Internet unencrypted" in done.stdout.replace("\n", " ")


def test_the_check_tries_the_keys_unless_it_is_told_not_to(thinkback: Command) -> None:
    with StrictProvider() as provider:
        environ = {
            "UPSTREAM_BASE_URL": provider.base_url,
            "UPSTREAM_API_KEY": "sk-wrong-key-1111",
            "MODELS_REFRESH_SECONDS": "60",
        }
        told = thinkback("check", **environ)
        offline = thinkback("check", "--offline", **environ)

    assert (told.returncode, offline.returncode) == (0, 0)
    assert "The upstream rejects this key (401)." in told.stdout
    assert "rejects" not in offline.stdout
    assert len(provider.requests) == 1


def test_status_and_check_tell_programs_the_same(thinkback: Command) -> None:
    upstream = {"UPSTREAM_BASE_URL": "https://api.deepseek.com", "UPSTREAM_API_KEY": "sk-secret1"}
    status = thinkback("status", "--json")
    check = thinkback("check", "--offline", "--json", **upstream)

    state, checked = json.loads(status.stdout), json.loads(check.stdout)
    assert (status.returncode, check.returncode) == (1, 0)
    assert [each["name"] for each in state["programs"]] == ["data plane", "sidecar"]
    assert [each["answers"] for each in state["programs"]] == [False, False]
    assert state["pid"] is None
    assert checked["listen_addr"] == thinkback.listen_addr
    [one] = checked["upstreams"]
    assert one["endpoint"] == "https://api.deepseek.com/v1/chat/completions"
    assert one["keys"] == ["…ret1"]
    assert one["test"] is None


def test_a_secret_is_replaced_by_a_command(thinkback: Command) -> None:
    before = load_secret(thinkback.directory / "data")

    done = thinkback("rotate-secret")

    assert done.returncode == 0, done.stderr
    assert load_secret(thinkback.directory / "data") != before
    assert (thinkback.directory / "data" / "secret.old").read_bytes() == before


def test_make_hears_of_no_failure_that_a_person_was_told(thinkback: Command) -> None:
    broken = {"LISTEN_ADDR": "nowhere", "THINKBACK_FROM_MAKE": "1"}
    ours, theirs = os.openpty()
    done = subprocess.run(
        [THINKBACK, "check"], cwd=thinkback.directory, env=thinkback.environ | broken, stderr=theirs
    )
    os.close(theirs)
    told = os.read(ours, 4096)
    os.close(ours)
    assert b"LISTEN_ADDR" in told
    assert (done.returncode, thinkback("check", **broken).returncode) == (0, 2)
