from pathlib import Path

import pytest

from shared.config.load import load
from shared.config.tunnel import TUNNEL_FILE, Announcement, announced
from shared.config.watch import Watch
from shared.errors import ThinkbackError

URL = "https://quiet-river.trycloudflare.com"


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """The environment of a program that a tunnel may be told to."""
    return {TUNNEL_FILE: str(tmp_path / "tunnel"), "PUBLIC_URL": "https://think.example.com"}


def announcement(environ: dict[str, str]) -> Announcement:
    return Announcement(environ[TUNNEL_FILE])


def test_the_url_counts_while_the_tunnel_is_kept(environ: dict[str, str]) -> None:
    kept = announcement(environ)
    kept.tell(URL)
    assert announced(environ) == URL
    kept.close()
    assert announced(environ) == ""


def test_what_a_crash_has_left_counts_for_nothing(environ: dict[str, str]) -> None:
    Path(environ[TUNNEL_FILE]).write_text(URL)
    assert announced(environ) == ""
    kept = announcement(environ)
    assert announced(environ) == ""
    kept.close()


def test_a_file_that_can_not_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(ThinkbackError, match="nowhere"):
        Announcement(str(tmp_path / "nowhere" / "tunnel"))


def test_without_a_file_there_is_no_tunnel(environ: dict[str, str]) -> None:
    assert announced(environ) == ""
    assert announced({}) == ""


def test_a_gateway_has_one_tunnel_at_a_time(environ: dict[str, str]) -> None:
    kept = announcement(environ)
    with pytest.raises(ThinkbackError, match="runs already"):
        announcement(environ)
    kept.close()
    announcement(environ).close()


def test_a_longer_url_leaves_nothing_behind(environ: dict[str, str]) -> None:
    kept = announcement(environ)
    kept.tell(URL)
    kept.tell("https://a.ts.net")
    assert announced(environ) == "https://a.ts.net"
    kept.close()


def test_a_running_program_follows_the_tunnel_and_closes_registration(tmp_path: Path) -> None:
    environ = {TUNNEL_FILE: str(tmp_path / "tunnel"), "CONFIG_PATH": ""}
    watch = Watch(environ)
    assert watch.snapshot.registration.allowed

    kept = announcement(environ)
    kept.tell(URL)
    snapshot = watch.poll()
    assert snapshot
    assert (snapshot.server.public_url, snapshot.registration.allowed) == (URL, False)

    kept.close()
    snapshot = watch.poll()
    assert snapshot
    assert (snapshot.server.public_url, snapshot.registration.allowed) == ("", True)


def test_a_tunnel_comes_before_the_configured_address(environ: dict[str, str]) -> None:
    kept = announcement(environ)
    kept.tell(URL)
    assert load(environ).server.public_url == URL
    kept.close()
    assert load(environ).server.public_url == "https://think.example.com"
