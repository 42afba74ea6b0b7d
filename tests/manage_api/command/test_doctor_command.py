"""`thinkback doctor` before anything runs: what it finds, how it tells it, and its exit code."""

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from manage_api.command.doctor_command import doctor
from shared.security.secrets import load_secret
from shared.store.migrations import is_current
from shared.store.sqlite import connect
from tests.manage_api.command.running import Command
from tests.support.database import place_database


@pytest.fixture
def thinkback(tmp_path: Path) -> Command:
    """The command beside a database."""
    place_database(tmp_path / "data" / "adapter.db")
    load_secret(tmp_path / "data")
    command = Command(tmp_path)
    command.environ["DATABASE_URL"] = f"sqlite:{tmp_path}/data/adapter.db"
    return command


def findings(thinkback: Command, **environ: str) -> dict[str, dict[str, Any]]:
    """What is found, by its name; a fault makes the exit code 1."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(thinkback.directory)
        for name, text in (thinkback.environ | environ).items():
            patch.setenv(name, text)
        done = CliRunner().invoke(doctor, ["--json"])
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.exit_code == int(any(each["verdict"] == "fault" for each in found)), done.output
    return {each["check"]: each for each in found if each["verdict"] != "ok"}


def test_it_tells_each_finding_with_its_remedy_and_how_many_there_are(thinkback: Command) -> None:
    done = thinkback("doctor")

    assert done.returncode == 1
    assert f"Nothing answers at http://{thinkback.listen_addr}" in done.stdout
    assert "→ Start it: thinkback up" in done.stdout
    assert "No upstream is configured" in done.stdout
    assert done.stdout.splitlines()[-1].startswith(("5 ok", "6 ok", "4 ok"))
    assert done.stdout.rstrip().endswith("3 fault")


def test_a_configuration_that_can_t_be_read_is_all_that_is_told(thinkback: Command) -> None:
    (thinkback.directory / "config.toml").write_text("[server]\nlisten_adr = 1\n")

    found = findings(thinkback)

    assert found.keys() == {"configuration"}
    assert "listen_adr" in found["configuration"]["seen"]


def test_a_sidecar_that_others_reach_is_found(thinkback: Command) -> None:
    found = findings(thinkback, ADMIN_LISTEN_ADDR="0.0.0.0:8788")

    assert "127.0.0.1:8788" in found["configuration"]["remedy"]


def test_a_secret_that_all_can_read_is_found(thinkback: Command) -> None:
    (thinkback.directory / "data" / "secret.key").chmod(0o644)

    found = findings(thinkback)

    assert "chmod 600" in found["files"]["remedy"]


def test_a_missing_database_is_found_and_not_made(thinkback: Command) -> None:
    elsewhere = thinkback.directory / "elsewhere" / "adapter.db"

    found = findings(thinkback, DATABASE_URL=f"sqlite:{elsewhere}")

    assert found["database"]["verdict"] == "warning"
    assert "DATABASE_URL" in found["database"]["remedy"]
    assert not elsewhere.parent.exists()


def test_a_database_of_a_newer_version_is_found(thinkback: Command) -> None:
    with closing(connect(thinkback.directory / "data" / "adapter.db")) as database:
        database.execute(
            "INSERT INTO _sqlite_migrations (migration_set, name, applied_at) "
            "VALUES ('thinkback', 'time_travel', '2027-01-01')"
        )
        database.execute("INSERT INTO versions (topic, version) VALUES ('schema', 1)")

    found = findings(thinkback)

    assert "newer Thinkback" in found["database"]["seen"]
    assert "Install the version that made it" in found["database"]["remedy"]


def test_a_database_that_is_none_is_found(thinkback: Command) -> None:
    (thinkback.directory / "data" / "adapter.db").write_bytes(b"this is a letter" * 1000)

    assert "not a database" in findings(thinkback)["database"]["seen"]


def test_a_database_of_an_earlier_version_is_found_and_left_as_it_is(thinkback: Command) -> None:
    path = thinkback.directory / "data" / "adapter.db"
    with closing(connect(path)) as database:
        database.execute("DELETE FROM _sqlite_migrations WHERE name = 'second_factors'")

    found = findings(thinkback)

    assert found.keys() == {"database"}
    assert "Restart Thinkback" in found["database"]["remedy"]
    assert not is_current(path)
