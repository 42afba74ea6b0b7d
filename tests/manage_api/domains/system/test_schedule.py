from pathlib import Path

import pytest
from litestar import Litestar
from msgspec.structs import replace

from manage_api.domains.system.schedule import backup_fault, is_due, make_backup, make_if_due
from shared.config.schema import Backup, Snapshot
from shared.store.engine import Engine
from tests.manage_api.world import ManualClock

HOUR = 3_600_000
START = 1_800_000_000_000
SECRET = b"s" * 32


@pytest.fixture
def snapshot(environ: dict[str, str], store: Engine, tmp_path: Path) -> Snapshot:
    """A backup every day, two kept."""
    rules = Backup(every_hours=24, keep=2, directory=str(tmp_path / "backups"))
    return Snapshot(database_url=environ["DATABASE_URL"], backup=rules)


def names(snapshot: Snapshot) -> list[str]:
    return sorted(path.name for path in Path(snapshot.backup.directory).iterdir())


def test_a_backup_is_due_when_the_last_one_is_too_old(snapshot: Snapshot) -> None:
    assert is_due(snapshot, START)
    make_backup(snapshot, SECRET, START)
    assert [is_due(snapshot, START + hours * HOUR) for hours in (0, 23, 24)] == [False, False, True]


def test_none_is_due_where_none_are_wanted(snapshot: Snapshot) -> None:
    assert not is_due(replace(snapshot, backup=Backup()), START)


def test_a_clock_that_was_put_back_does_not_stop_the_backups(snapshot: Snapshot) -> None:
    make_backup(snapshot, SECRET, START + 1000 * HOUR)

    assert is_due(snapshot, START)


def test_the_latest_are_kept_with_their_secrets_and_nothing_else_is_touched(
    snapshot: Snapshot,
) -> None:
    directory = Path(snapshot.backup.directory)
    directory.mkdir()
    (directory / "thinkback-mine.db").touch()

    made = [make_backup(snapshot, SECRET, START + day * 24 * HOUR).name for day in range(4)]

    kept = [name for each in made[2:] for name in (each, f"{each}.secret")]
    assert names(snapshot) == [*kept, "thinkback-mine.db"]
    assert {path.stat().st_mode & 0o777 for path in directory.glob("*T*")} == {0o600}


def test_backups_that_have_stopped_are_told(snapshot: Snapshot) -> None:
    make_backup(snapshot, SECRET, START)

    told = [backup_fault(snapshot, START + hours * HOUR) for hours in (0, 24, 25)]
    assert [bool(each) for each in told] == [False, False, True]
    assert snapshot.backup.directory in told[2]


def test_a_folder_that_is_missing_is_told_in_words(snapshot: Snapshot) -> None:
    told = backup_fault(snapshot, START)
    assert f"its folder {snapshot.backup.directory} is missing: create it" in told


async def look_each_minute(app: Litestar, clock: ManualClock, minutes: int) -> None:
    """What the sidecar does in so many minutes."""
    failed_at = None
    async with app.lifespan():
        for _ in range(minutes):
            failed_at = await make_if_due(app.state.sidecar, failed_at)
            clock.seconds += 60


@pytest.mark.parametrize("toml", ["[backup]\nevery_hours = 1\nkeep = 100\n"], indirect=True)
async def test_the_sidecar_makes_them_while_it_runs(
    app: Litestar, clock: ManualClock, tmp_path: Path
) -> None:
    await look_each_minute(app, clock, 150)

    assert len(list((tmp_path / "data" / "backups").glob("*.db"))) == 3


@pytest.mark.parametrize(
    "toml", ['[backup]\nevery_hours = 1\ndirectory = "/dev/null/x"'], indirect=True
)
async def test_a_place_that_cannot_be_written_is_logged_now_and_then(
    app: Litestar, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    await look_each_minute(app, clock, 25)

    told = [each for each in caplog.messages if "backup was not made" in each]
    assert 3 <= len(told) <= 4
    assert told[0].endswith("Can't create the folder /dev/null/x (Not a directory).")


def test_a_server_is_backed_up_by_its_own_operator(snapshot: Snapshot) -> None:
    assert not is_due(replace(snapshot, database_url="postgresql://db/thinkback"), START)
