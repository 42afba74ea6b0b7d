import logging
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from shared.config.overrides import Overrides
from shared.config.watch import Watch
from shared.errors import ConfigError

UPSTREAM = '[[upstreams]]\nname = "a"\nbase_url = "https://a.b"\n'


class Edited:
    """A configuration file that is watched."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.save(UPSTREAM)
        self.watch = Watch({"CONFIG_PATH": str(path)})

    def save(self, text: str) -> None:
        """As an editor does: the new file takes the old one's place, so the inode differs
        whatever the clock says.
        """
        self.path.with_suffix(".new").write_text(text)
        self.path.with_suffix(".new").rename(self.path)

    def recall_mib(self) -> int | None:
        """Poll; the new `[recall] max_mib`."""
        snapshot = self.watch.poll()
        return snapshot.recall.max_mib if snapshot else None


@pytest.fixture
def edited(tmp_path: Path) -> Edited:
    return Edited(tmp_path / "config.toml")


def test_the_first_snapshot_is_the_files(edited: Edited) -> None:
    assert [upstream.name for upstream in edited.watch.snapshot.upstreams] == ["a"]
    assert edited.watch.poll() is None


def test_a_configuration_that_is_broken_from_the_start_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        Watch({"CONFIG_PATH": str(tmp_path / "missing.toml")})


def test_an_edit_is_picked_up_once(edited: Edited) -> None:
    edited.save("[recall]\nmax_mib = 5\n")

    assert edited.recall_mib() == 5
    assert edited.recall_mib() is None
    assert edited.watch.snapshot.recall.max_mib == 5


def test_an_edit_in_place_is_picked_up_though_as_long(edited: Edited) -> None:
    old = edited.path.stat()
    edited.path.write_text("[recall]\nmax_mib = 5\n".ljust(old.st_size))
    os.utime(edited.path, ns=(old.st_atime_ns, old.st_mtime_ns + 1))

    assert edited.recall_mib() == 5


def test_another_file_in_its_place_is_picked_up_though_as_old_and_as_long(edited: Edited) -> None:
    old = edited.path.stat()
    edited.save("[recall]\nmax_mib = 5\n".ljust(old.st_size))
    os.utime(edited.path, ns=(old.st_atime_ns, old.st_mtime_ns))

    assert edited.recall_mib() == 5


def test_an_edit_of_a_comment_changes_nothing(
    edited: Edited, caplog: pytest.LogCaptureFixture
) -> None:
    edited.save(UPSTREAM + "# a comment\n")

    assert edited.watch.poll() is None
    assert caplog.records == []


def test_a_reload_reads_what_does_not_seem_to_have_changed_and_says_what_came_of_it(
    edited: Edited, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    old = edited.path.stat()
    edited.path.write_text("[recall]\nmax_mib = 7\n".ljust(old.st_size))
    os.utime(edited.path, ns=(old.st_atime_ns, old.st_mtime_ns))

    edited.watch.reload()
    edited.watch.reload()
    edited.save("[recall]\nmax_mib = -1\n")
    edited.watch.reload()

    assert edited.watch.snapshot.recall.max_mib == 7
    assert [message.partition(":")[0] for message in caplog.messages] == [
        "configuration reloaded",
        "configuration read again",
        "configuration not reloaded, the last good one stays in force",
    ]


def test_a_broken_edit_keeps_the_last_good_snapshot(edited: Edited) -> None:
    before = edited.watch.snapshot
    edited.save("[recall]\nmax_mib = -1\nmax_mob = 1\n")

    assert edited.watch.poll() is None
    assert edited.watch.snapshot is before
    assert [problem.line for problem in edited.watch.problems] == [2, 3]


def test_a_broken_edit_is_reported_once(edited: Edited, caplog: pytest.LogCaptureFixture) -> None:
    edited.save("[recall]\nmax_mib = -1\nmax_mob = 1\n")

    edited.watch.poll()
    edited.watch.poll()

    assert [(record.name, record.levelname) for record in caplog.records] == [
        ("thinkback.config", "ERROR")
    ] * 2
    assert caplog.messages[0].endswith(
        f"{edited.path}:2: recall.max_mib: must be from 0 to 1048576"
    )


def test_a_good_edit_after_a_broken_one_is_picked_up(edited: Edited) -> None:
    edited.save("[recall\n")
    edited.watch.poll()
    edited.save("[recall]\nmax_mib = 5\n")

    assert edited.recall_mib() == 5
    assert edited.watch.problems == []


def test_a_broken_edit_that_is_taken_back_changes_nothing(edited: Edited) -> None:
    edited.save("[recall\n")
    edited.watch.poll()
    edited.save(UPSTREAM)

    assert edited.watch.poll() is None
    assert edited.watch.problems == []


def test_a_named_file_that_disappears_is_missed(edited: Edited) -> None:
    before = edited.watch.snapshot
    edited.path.unlink()

    assert [edited.watch.poll(), edited.watch.poll()] == [None, None]
    assert edited.watch.snapshot is before
    assert [problem.key for problem in edited.watch.problems] == ["CONFIG_PATH"]


@pytest.fixture
def default_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / "config.toml"


def test_the_default_file_may_appear(default_file: Path) -> None:
    watch = Watch({})
    default_file.write_text(UPSTREAM)

    assert watch.poll() is watch.snapshot
    assert [upstream.name for upstream in watch.snapshot.upstreams] == ["a"]


@pytest.mark.parametrize("leave", [Path.exists, Path.touch], ids=["missing", "empty"])
def test_a_blank_file_is_believed_the_second_time(
    default_file: Path, leave: Callable[[Path], object]
) -> None:
    default_file.write_text(UPSTREAM)
    watch = Watch({})
    default_file.unlink()
    leave(default_file)

    assert watch.poll() is None
    assert watch.poll() is watch.snapshot
    assert watch.snapshot.upstreams == ()


def test_a_file_that_was_gone_for_a_moment_is_not_missed(default_file: Path) -> None:
    default_file.write_text(UPSTREAM)
    watch = Watch({})
    default_file.rename("away")
    first = watch.poll()
    Path("away").rename(default_file)

    assert (first, watch.poll(), watch.poll()) == (None, None, None)


def test_settings_that_need_a_restart_stay_as_they_are(
    edited: Edited, caplog: pytest.LogCaptureFixture
) -> None:
    edited.save(
        '[server]\nlisten_addr = "127.0.0.1:1"\nadmin_addr = "127.0.0.1:2"\nworkers = "auto"\n'
        'shutdown_delay_seconds = 9\nui = "local"\n'
    )

    with caplog.at_level(logging.WARNING):
        snapshot = edited.watch.poll()

    assert snapshot is not None
    assert (snapshot.server.listen_addr, snapshot.server.admin_addr) == (
        "127.0.0.1:8787",
        "127.0.0.1:8788",
    )
    assert (snapshot.server.workers, snapshot.server.ui) == (1, "local")
    assert caplog.messages == [
        f"server.{key} has changed: restart Thinkback to use the new value"
        for key in ("listen_addr", "admin_addr", "workers", "shutdown_delay_seconds")
    ]


def test_what_is_stored_is_taken_over_once(edited: Edited) -> None:
    stored = Overrides(settings={"recall.max_mib": 5})

    assert edited.watch.override(stored) is edited.watch.snapshot
    assert edited.watch.override(stored) is None
    assert (edited.watch.snapshot.recall.max_mib, edited.watch.sources["recall.max_mib"]) == (
        5,
        "database",
    )


def test_what_is_stored_no_more_goes_back_to_the_default(edited: Edited) -> None:
    edited.watch.override(Overrides(settings={"recall.max_mib": 5}))

    snapshot = edited.watch.override(Overrides())

    assert snapshot is not None
    assert snapshot.recall.max_mib == 0
    assert edited.watch.sources["recall.max_mib"] == "default"


def test_an_edit_of_the_file_comes_over_what_is_stored(edited: Edited) -> None:
    edited.watch.override(Overrides(settings={"recall.max_mib": 5, "recall.max_age_days": 6}))
    edited.save("[recall]\nmax_mib = 9\n")

    edited.watch.poll()

    assert (edited.watch.snapshot.recall.max_mib, edited.watch.snapshot.recall.max_age_days) == (
        9,
        6,
    )


def test_what_is_stored_is_taken_over_while_the_file_is_broken(edited: Edited) -> None:
    edited.save("[recall\n")
    edited.watch.poll()

    snapshot = edited.watch.override(Overrides(settings={"recall.max_mib": 5}))

    assert snapshot is not None
    assert (snapshot.recall.max_mib, snapshot.upstreams[0].name) == (5, "a")
    assert [problem.key for problem in edited.watch.problems] == ["syntax"]


def test_what_is_stored_and_cannot_be_used_is_reported_once(
    edited: Edited, caplog: pytest.LogCaptureFixture
) -> None:
    for mib in (5, 6):
        edited.watch.override(Overrides(settings={"recall.max_mib": mib, "audit.mode": "most"}))
    edited.save(UPSTREAM + "[logging]\nlevel = 'debug'\n")
    edited.watch.poll()

    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == [
        "setting from the database not applied: database: audit.mode: must be one of full, last, off"
    ]
    assert [problem.key for problem in edited.watch.problems] == ["audit.mode"]
    assert edited.watch.snapshot.recall.max_mib == 6


def test_the_addresses_stay_when_something_is_stored(edited: Edited) -> None:
    edited.save('[server]\nlisten_addr = "127.0.0.1:1"\n')
    edited.watch.poll()

    snapshot = edited.watch.override(Overrides(settings={"recall.max_mib": 5}))

    assert snapshot is not None
    assert snapshot.server.listen_addr == "127.0.0.1:8787"


def test_registration_stays_closed_while_the_exposed_address_of_the_start_is_listened_on(
    edited: Edited,
) -> None:
    edited.save('[server]\nlisten_addr = "0.0.0.0:8787"\n')
    watch = Watch({"CONFIG_PATH": str(edited.path)})
    edited.save('[server]\nlisten_addr = "127.0.0.1:8787"\n[recall]\nmax_mib = 5\n')

    snapshot = watch.poll()

    assert snapshot is not None
    assert (snapshot.server.listen_addr, snapshot.registration.allowed) == ("0.0.0.0:8787", False)


def test_registration_closes_when_a_public_url_is_stored(edited: Edited) -> None:
    before = edited.watch.snapshot.registration.allowed

    snapshot = edited.watch.override(
        Overrides(settings={"server.public_url": "https://think.example.com"})
    )

    assert snapshot is not None
    assert (before, snapshot.registration.allowed) == (True, False)
