from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from shared.config.live import LiveConfiguration
from shared.config.overrides import Overrides
from shared.config.watch import Watch
from shared.errors import StoreError
from shared.store import open_engine
from shared.store.engine import Engine
from shared.store.overrides import read_overrides
from shared.store.settings import change_settings

SECRET = b"s" * 32


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:{tmp_path}/thinkback.db"


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    with closing(open_engine(url)) as engine:
        yield engine


@pytest.fixture
def pages(url: str) -> Iterator[Engine]:
    """The other program's connection."""
    with closing(open_engine(url)) as engine:
        yield engine


@pytest.fixture
def watch(tmp_path: Path) -> Watch:
    (tmp_path / "config.toml").write_text("[audit]\nmax_mib = 7\n")
    return Watch({"CONFIG_PATH": f"{tmp_path}/config.toml"})


def test_what_is_in_the_database_from_the_start_is_in_force_at_once(
    watch: Watch, engine: Engine, pages: Engine
) -> None:
    change_settings(pages, {"recall.max_mib": 5}, 1)

    live = LiveConfiguration(watch, engine.version, lambda: read_overrides(engine, SECRET))

    assert live.snapshot.recall.max_mib == 5
    assert live.snapshot.audit.max_mib == 7
    assert live.sources["recall.max_mib"] == "database"
    assert live.sources["audit.max_mib"] == "file"


def test_a_setting_changed_by_the_other_program_is_in_force_after_a_refresh(
    watch: Watch, engine: Engine, pages: Engine
) -> None:
    live = LiveConfiguration(watch, engine.version, lambda: read_overrides(engine, SECRET))
    change_settings(pages, {"recall.max_mib": 5, "audit.mode": "most"}, 1)

    live.refresh()

    assert live.snapshot.recall.max_mib == 5
    assert [problem.key for problem in live.problems] == ["audit.mode"]


def test_an_edited_file_is_in_force_after_a_refresh(
    watch: Watch, engine: Engine, tmp_path: Path
) -> None:
    live = LiveConfiguration(watch, engine.version, lambda: read_overrides(engine, SECRET))
    (tmp_path / "new.toml").write_text("[audit]\nmax_mib = 99\n")
    (tmp_path / "new.toml").rename(tmp_path / "config.toml")

    live.refresh()

    assert live.snapshot.audit.max_mib == 99


def test_a_reload_takes_over_the_file_and_the_database_at_once(
    watch: Watch, engine: Engine, pages: Engine, tmp_path: Path
) -> None:
    live = LiveConfiguration(watch, engine.version, lambda: read_overrides(engine, SECRET))
    (tmp_path / "config.toml").write_text("[audit]\nmax_mib = 99\n")
    change_settings(pages, {"recall.max_mib": 5}, 1)

    live.reload()

    assert (live.snapshot.audit.max_mib, live.snapshot.recall.max_mib) == (99, 5)


def test_the_database_is_read_again_only_when_it_changed(
    watch: Watch, engine: Engine, pages: Engine
) -> None:
    readings: list[Overrides] = []

    def read() -> Overrides:
        readings.append(read_overrides(engine, SECRET))
        return readings[-1]

    live = LiveConfiguration(watch, engine.version, read)
    live.refresh()
    assert len(readings) == 1

    change_settings(pages, {"recall.max_mib": 5}, 1)
    live.refresh()
    assert len(readings) == 2


def test_a_database_that_could_not_be_read_is_read_at_the_next_refresh(
    watch: Watch, engine: Engine, pages: Engine
) -> None:
    broken = False

    def read() -> Overrides:
        if broken:
            raise StoreError("The disk is gone.")
        return read_overrides(engine, SECRET)

    live = LiveConfiguration(watch, engine.version, read)
    change_settings(pages, {"recall.max_mib": 5}, 1)
    broken = True
    with pytest.raises(StoreError):
        live.refresh()
    broken = False
    live.refresh()

    assert live.snapshot.recall.max_mib == 5


def test_one_of_several_data_planes_has_its_share_which_changes_with_the_whole_alone(
    watch: Watch, engine: Engine, pages: Engine
) -> None:
    live = LiveConfiguration(
        watch, engine.version, lambda: read_overrides(engine, SECRET), workers=2
    )
    first = live.snapshot
    assert (first.recall.memory_mib, first.audit.max_mib) == (32, 7)
    assert live.snapshot is first

    change_settings(pages, {"recall.max_mib": 5}, 1)
    live.refresh()
    assert (live.snapshot.recall.memory_mib, live.snapshot.recall.max_mib) == (32, 5)
