"""`thinkback migrate-db` takes accounts, keys and what is sealed along, to a server and back."""

from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from manage_api.command.copy_command import migrate_db
from shared.config.schema import Upstream
from shared.security.secrets import load_retired, load_secret, replace_secret
from shared.store import open_engine
from shared.store.copying import CopyError
from shared.store.installation import installation_secret
from shared.store.upstreams import add_upstream, list_upstreams
from tests.support.database import place_database
from tests.support.postgres import empty_database, wipe


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A file with an account and a sealed key, whose secret has replaced another one."""
    path = tmp_path / "adapter.db"
    place_database(path, "correct horse battery staple")
    load_secret(tmp_path)
    replace_secret(tmp_path, b"n" * 32)
    with closing(open_engine(f"sqlite:{path}")) as engine:
        upstream = Upstream(name="main", base_url="https://a.b", api_keys=("sk-1",))
        add_upstream(engine, load_secret(tmp_path), upstream, 1)
    return f"sqlite:{path}"


@pytest.fixture
def server(tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """An empty database that has the file's secrets."""
    wipe(empty_database())
    secrets = [load_secret(tmp_path), *load_retired(tmp_path)]
    monkeypatch.delenv("SECRET_KEY_FILE", raising=False)
    monkeypatch.setenv("SECRET_KEY", ",".join(secret.hex() for secret in secrets))
    return empty_database()


def run(source: str, target: str) -> str:
    result = CliRunner().invoke(migrate_db, [source, target])
    if isinstance(result.exception, CopyError):
        raise result.exception
    assert result.exit_code == 0, result.exception
    return result.output


def test_a_file_goes_to_a_server_and_back(url: str, server: str, tmp_path: Path) -> None:
    assert "which are the same in postgresql:" in run(url, server)
    with closing(open_engine(server)) as engine:
        secret = installation_secret(engine, server)
        [row] = list_upstreams(engine, secret)
    assert row.upstream
    assert row.upstream.api_keys == ("sk-1",)

    run(server, f"sqlite:{tmp_path}/back/adapter.db")

    assert load_secret(tmp_path / "back") == load_secret(tmp_path)
    assert load_retired(tmp_path / "back") == load_retired(tmp_path)
    with closing(open_engine(f"sqlite:{tmp_path}/back/adapter.db")) as engine:
        assert not list_upstreams(engine, secret)[0].problem
        assert engine.read("SELECT username FROM users") == [("admin",)]


def test_a_server_with_another_secret_is_refused(
    url: str, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_KEY", "00" * 32)
    with pytest.raises(CopyError, match="SECRET_KEY is not the secret of"):
        run(url, server)
    with closing(open_engine(server)) as engine:
        assert engine.read("SELECT * FROM users") == []


@pytest.mark.parametrize(
    ("source", "target", "words"),
    [
        ("sqlite:a.db", "sqlite:b.db", "One of the two"),
        ("postgresql://a/b", "postgresql://a/c", "One of the two"),
        ("sqlite:nowhere.db", "postgresql://a/c", "There is no database"),
    ],
)
def test_what_can_not_be_copied_is_said(
    source: str, target: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CopyError, match=words):
        run(source, target)
    assert not [*tmp_path.iterdir()]
