"""A backup takes the database's place, and nothing is lost on the way."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from pysqlite3 import dbapi2

from manage_api.command.restore import RestoreError, copied_to, restore
from manage_api.domains.system.backup import back_up, secret_beside
from shared.config.schema import Upstream
from shared.errors import StoreError
from shared.security.secrets import SecretError, load_secret
from shared.store import data_directory, open_engine
from shared.store.bootstrap import ensure_admin
from shared.store.engine import Engine
from shared.store.upstreams import add_upstream, list_upstreams


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    """The database before: an upstream whose key is sealed."""
    with closing(open_engine(url)) as engine:
        secret = load_secret(data_directory(url))
        add_upstream(engine, secret, Upstream(name="main", base_url="https://a.b"), 1)
        yield engine


@pytest.fixture
def backup(engine: Engine, url: str, tmp_path: Path) -> Path:
    """With the secret beside it; afterwards the database has an account more."""
    target = tmp_path / "backup.db"
    back_up(engine, target, load_secret(data_directory(url)))
    ensure_admin(engine, password="correct horse battery", now=1)
    return target


def accounts(url: str) -> int:
    with closing(open_engine(url)) as engine:
        return len(engine.read("SELECT 1 FROM users"))


def test_everything_is_as_it_was_and_what_was_there_is_kept(
    engine: Engine, backup: Path, url: str
) -> None:
    engine.close()

    done = restore(backup, url, secret_file=None, stamp="old")

    kept = {path.name for path in done.kept}
    assert {"adapter.db.old", "secret.key.old"} <= kept
    assert (accounts(url), accounts(f"sqlite:{data_directory(url)}/adapter.db.old")) == (0, 1)
    with closing(open_engine(url)) as restored:
        [row] = list_upstreams(restored, load_secret(data_directory(url)))
    assert (row.name, row.problem) == ("main", "")
    assert not list(data_directory(url).glob("*.restoring*"))
    assert done.database.stat().st_mode & 0o777 == 0o600


def test_a_lost_directory_is_restored_with_the_secret(
    engine: Engine, backup: Path, url: str, tmp_path: Path
) -> None:
    engine.close()
    elsewhere = f"sqlite:{tmp_path}/new/adapter.db"

    assert restore(backup, elsewhere, secret_file=None, stamp="old").kept == []

    assert load_secret(tmp_path / "new") == load_secret(data_directory(url))


def test_the_present_secret_stays_where_the_backup_has_none(
    engine: Engine, backup: Path, url: str
) -> None:
    engine.close()
    secret_beside(backup).unlink()

    kept = restore(backup, url, secret_file=None, stamp="old").kept

    assert "secret.key.old" not in {path.name for path in kept}


def refused(backup: Path, url: str, secret_file: Path | None = None) -> str:
    """Why it is refused; nothing has changed then."""
    before = {path.name for path in data_directory(url).iterdir()}
    with pytest.raises((RestoreError, StoreError, SecretError)) as caught:
        restore(backup, url, secret_file=secret_file, stamp="old")
    assert {path.name for path in data_directory(url).iterdir()} == before
    return str(caught.value)


def test_a_database_in_use_stays_as_it_is(engine: Engine, backup: Path, url: str) -> None:
    assert "stop Thinkback first" in refused(backup, url)
    assert accounts(url) == 1


def test_another_secret_is_refused(engine: Engine, backup: Path, url: str, tmp_path: Path) -> None:
    engine.close()
    load_secret(tmp_path / "other")

    assert "upstream main" in refused(backup, url, tmp_path / "other" / "secret.key")
    assert accounts(url) == 1


@pytest.mark.parametrize("content", [b"", b"no database", b"SQLite format 3\0" + b"x" * 5000])
def test_a_file_that_is_no_backup_is_refused(
    engine: Engine, backup: Path, url: str, content: bytes
) -> None:
    engine.close()
    backup.write_bytes(content)

    assert "is no backup" in refused(backup, url)


def test_a_damaged_backup_is_refused(engine: Engine, backup: Path, url: str) -> None:
    engine.close()
    with closing(dbapi2.connect(str(backup))) as connection:
        [(page,)] = connection.execute(
            "SELECT rootpage FROM sqlite_schema WHERE name = 'virtual_keys_user_id'"
        )
    with backup.open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(b"\xff" * 4096)

    assert "damaged" in refused(backup, url)


def test_a_newer_programs_backup_is_refused(engine: Engine, backup: Path, url: str) -> None:
    engine.close()
    with closing(dbapi2.connect(str(backup))) as connection:
        connection.execute(
            "INSERT INTO _sqlite_migrations (migration_set, name, applied_at) "
            "VALUES ('thinkback', 'of tomorrow', '')"
        )
        connection.execute("INSERT INTO versions (topic, version) VALUES ('schema', 1)")
        connection.commit()

    assert "newer Thinkback" in refused(backup, url)


def test_a_damaged_database_is_replaced(engine: Engine, backup: Path, url: str) -> None:
    engine.close()
    database = data_directory(url) / "adapter.db"
    database.write_bytes(b"\xff" * 8192)

    restore(backup, url, secret_file=None, stamp="old")

    assert accounts(url) == 0
    assert (data_directory(url) / "adapter.db.old").read_bytes() == b"\xff" * 8192


def test_a_server_is_restored_by_its_own_programs() -> None:
    with pytest.raises(RestoreError, match="pg_restore"):
        copied_to("postgresql://db/thinkback")
