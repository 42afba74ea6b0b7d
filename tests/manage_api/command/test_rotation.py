"""Another secret takes the place of the old one, and everything still opens."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from manage_api.command.restore import RestoreError
from manage_api.command.rotation import RotationError, rotate
from shared.config.schema import Upstream
from shared.security.secrets import load_retired, load_secret, replace_secret
from shared.store import data_directory, open_engine
from shared.store.accounts import create_user
from shared.store.engine import Engine
from shared.store.installation import installation_secret
from shared.store.second_factors import begin_second_factor, find_second_factor
from shared.store.upstreams import add_upstream, list_upstreams
from tests.support.postgres import empty_database, wipe


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    """With an upstream and a second factor."""
    with closing(open_engine(url)) as engine:
        secret = load_secret(data_directory(url))
        add_upstream(engine, secret, Upstream(name="main", base_url="https://a.b"), 1)
        user = create_user(
            engine,
            username="ada",
            password_hash="h",
            role="admin",
            must_change_password=False,
            now=1,
        )
        begin_second_factor(engine, secret, user.id, "SECRET", 1)
        yield engine


def opened(url: str) -> tuple[str, str]:
    """The upstream's problem and the second factor, with the present secret."""
    secret = load_secret(data_directory(url))
    with closing(open_engine(url)) as engine:
        [row] = list_upstreams(engine, secret)
        factor = find_second_factor(engine, secret, 1)
    assert factor
    return row.problem, factor.secret


def test_what_is_sealed_opens_with_the_new_secret_and_the_old_one_is_kept(
    engine: Engine, url: str
) -> None:
    engine.close()
    directory = data_directory(url)
    before = load_secret(directory)

    assert rotate(url) == 2

    assert load_secret(directory) != before
    assert load_retired(directory) == (before,)
    assert opened(url) == ("", "SECRET")
    assert {path.stat().st_mode & 0o777 for path in directory.glob("secret.*")} == {0o600}


def test_it_can_be_done_again(engine: Engine, url: str) -> None:
    engine.close()
    directory = data_directory(url)
    secrets = [load_secret(directory)]
    for _ in range(2):
        rotate(url)
        secrets.append(load_secret(directory))

    assert load_retired(directory) == tuple(secrets[:2])
    assert opened(url) == ("", "SECRET")


def test_after_a_crash_in_between_once_more_makes_it_whole(engine: Engine, url: str) -> None:
    engine.close()
    replace_secret(data_directory(url), b"n" * 32)  # and nothing was committed

    assert rotate(url) == 2
    assert opened(url) == ("", "SECRET")


def test_nothing_is_changed_while_the_gateway_runs(engine: Engine, url: str) -> None:
    before = load_secret(data_directory(url))

    with pytest.raises(RestoreError, match="stop Thinkback first"):
        rotate(url)

    assert load_secret(data_directory(url)) == before


def test_nothing_is_changed_with_another_installations_secret(engine: Engine, url: str) -> None:
    engine.close()
    path = data_directory(url) / "secret.key"
    path.write_bytes(b"x" * 32)

    with pytest.raises(RotationError, match="Nothing was changed"):
        rotate(url)

    assert path.read_bytes() == b"x" * 32
    assert load_retired(data_directory(url)) == ()


def test_nodes_get_the_new_secret_beside_the_old_one(monkeypatch: pytest.MonkeyPatch) -> None:
    wipe(empty_database())
    old, new = b"o" * 32, b"n" * 32
    monkeypatch.setenv("SECRET_KEY", old.hex())
    with closing(open_engine(empty_database())) as engine:
        secret = installation_secret(engine, empty_database())
        add_upstream(engine, secret, Upstream(name="main", base_url="https://a.b"), 1)
        with pytest.raises(RotationError, match="the new one, a comma and the present one"):
            rotate(empty_database())
        monkeypatch.setenv("SECRET_KEY", f"{new.hex()},{old.hex()}")
        assert rotate(empty_database()) == 1
        assert installation_secret(engine, empty_database()) == new
        assert not list_upstreams(engine, new)[0].problem
