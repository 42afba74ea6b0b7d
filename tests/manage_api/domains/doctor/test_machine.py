"""Faults of the machine, planted one by one."""

from contextlib import closing
from email.utils import formatdate
from pathlib import Path

import pytest

from manage_api.domains.doctor.findings import Finding
from manage_api.domains.doctor.machine import check_clock, check_disk, check_machine, check_skew
from shared.store.engine import Engine
from shared.store.sqlite import connect
from tests.manage_api.books import Books
from tests.manage_api.domains.doctor.conftest import Install
from tests.manage_api.world import ManualClock, Person
from tests.support.database import make_unreadable

MIB = 1024 * 1024


async def look(install: Install) -> dict[str, Finding]:
    return {finding.check: finding async for finding in check_machine(install())}


async def test_a_sound_machine_is_told_so(install: Install) -> None:
    found = await look(install)

    assert found.keys() == {"disk", "files", "clock", "database"}
    assert [each for name, each in found.items() if each.verdict != "ok" and name != "disk"] == []


@pytest.mark.parametrize(
    ("mib", "verdict"), [(50, "fault"), (500, "warning"), (5000, "ok")], ids=str
)
def test_a_disk_that_fills_is_found(mib: int, verdict: str) -> None:
    finding = check_disk(Path("/data"), mib * MIB)

    assert (finding.check, finding.verdict) == ("disk", verdict)
    assert ("Make room" in finding.remedy) == (verdict != "ok")


def test_a_clock_that_was_put_back_is_found(
    store: Engine, clock: ManualClock, books: Books, ada: Person
) -> None:
    books.settle(ada)
    assert check_clock(store, clock.now_ms()).verdict == "ok"

    finding = check_clock(store, clock.now_ms() - 3_600_000)

    assert finding.verdict == "fault"
    assert "timesyncd" in finding.remedy


@pytest.mark.parametrize(
    ("seconds", "verdicts"), [(5, []), (-90, ["warning"]), (4000, ["fault"])], ids=str
)
def test_a_clock_that_goes_wrong_is_found(seconds: int, verdicts: list[str]) -> None:
    now = 1_800_000_000
    date = formatdate(now - seconds, usegmt=True)

    findings = list(check_skew(date, now * 1000, "api.example.com"))

    assert [each.verdict for each in findings] == verdicts
    assert all("timesyncd" in each.remedy for each in findings)


@pytest.mark.parametrize("date", ["", "yesterday"])
def test_an_answer_without_a_date_tells_nothing(date: str) -> None:
    assert not list(check_skew(date, 1_800_000_000_000, "api.example.com"))


async def test_a_damaged_database_is_found(install: Install, tmp_path: Path) -> None:
    installation = install()
    path = tmp_path / "data" / "adapter.db"
    installation.store.close()
    with closing(connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    make_unreadable(path, "ledger")

    found = await look(install)

    assert found["database"].verdict == "fault"
    assert "thinkback restore" in found["database"].remedy


async def test_a_data_directory_that_all_may_write_in_is_found(
    install: Install, tmp_path: Path
) -> None:
    (tmp_path / "data").chmod(0o777)

    found = await look(install)

    assert found["files"].verdict == "fault"
    assert "chmod 700" in found["files"].remedy
