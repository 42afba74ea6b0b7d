"""Where the state is found, for each way of starting the program."""

from pathlib import Path

import pytest

from shared.config.load import load
from shared.config.places import env_file, places


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))
    return tmp_path / "share"


def test_an_installed_program_keeps_its_state_in_the_users_data_directory(
    tmp_path: Path, home: Path
) -> None:
    added = places({}, tmp_path, is_checkout=False)
    assert added["DATABASE_URL"] == f"sqlite:{home}/thinkback/adapter.db"
    assert load(added).database_url == added["DATABASE_URL"]
    assert load(added).config_path == f"{home}/thinkback/config.toml", "where messages have it made"


def test_a_configuration_in_the_data_directory_is_read(tmp_path: Path, home: Path) -> None:
    config = home / "thinkback/config.toml"
    config.parent.mkdir(parents=True)
    config.write_text("[server]\nmax_messages = 7\n")
    added = places({}, tmp_path, is_checkout=False)
    assert load(added).server.max_messages == 7
    assert load(added | {"CONFIG_PATH": ""}).config_path == str(config)


@pytest.mark.parametrize("name", ["config.toml", "data/adapter.db"])
def test_a_directory_with_a_state_of_its_own_keeps_it(
    tmp_path: Path, home: Path, name: str
) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).touch()
    assert places({}, tmp_path, is_checkout=False) == {}


def test_a_checkout_keeps_its_state_in_the_current_directory(tmp_path: Path, home: Path) -> None:
    assert places({}, tmp_path, is_checkout=True) == {}
    assert places({}, tmp_path) == {}, "the tests run from a checkout"


def test_data_dir_names_the_directory_and_what_is_set_is_left_alone(tmp_path: Path) -> None:
    environ = {"DATA_DIR": "/srv/think"}
    assert places(environ, tmp_path)["DATABASE_URL"] == "sqlite:/srv/think/adapter.db"
    assert "DATABASE_URL" not in places(environ | {"DATABASE_URL": "sqlite:/a.db"}, tmp_path)
    (tmp_path / "config.toml").touch()
    assert load(environ | places(environ, tmp_path)).config_path == "./config.toml"


def test_the_env_file_is_beside_the_configuration(tmp_path: Path, home: Path) -> None:
    assert env_file({}, tmp_path) == tmp_path / ".env"
    assert env_file({"CONFIG_PATH": "/etc/t/mine.toml"}, tmp_path) == Path("/etc/t/.env")
    assert env_file({"DATA_DIR": "/srv/think"}, tmp_path) == Path("/srv/think/.env")
    installed = env_file({}, tmp_path, is_checkout=False)
    assert installed == home / "thinkback/.env", "no other program's, whose directory it is"
    (tmp_path / "config.toml").touch()
    assert env_file({"DATA_DIR": "/srv/think"}, tmp_path) == tmp_path / ".env"
