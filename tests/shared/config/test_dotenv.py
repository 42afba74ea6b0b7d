"""`.env` beside the configuration is an environment for who has none."""

from pathlib import Path

import pytest

from shared.config.dotenv import read_env_file
from shared.errors import ConfigError


def read(directory: Path, text: str, **environ: str) -> dict[str, str]:
    (directory / ".env").write_text(text, "utf-8")
    return read_env_file(directory / ".env", environ)


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("PUBLIC_URL=https://a.b", "https://a.b"),
        ("  export PUBLIC_URL = https://a.b  ", "https://a.b"),
        ("PUBLIC_URL='https://a.b' # ours", "https://a.b"),
        ('PUBLIC_URL="https://a.b"', "https://a.b"),
        ("PUBLIC_URL=https://a.b # ours", "https://a.b"),
        ("PUBLIC_URL=https://a.b#c", "https://a.b#c"),
        ("PUBLIC_URL=x\nPUBLIC_URL=https://a.b", "https://a.b"),
        ("PUBLIC_URL='it''s", "'it''s"),
    ],
)
def test_a_line_is_read_as_shells_and_docker_compose_read_it(
    tmp_path: Path, line: str, value: str
) -> None:
    assert read(tmp_path, f"# a comment\n\ufeff\n{line}\r\n") == {"PUBLIC_URL": value}


def test_only_our_names_are_taken_and_the_real_environment_wins(tmp_path: Path) -> None:
    text = "PATH=/evil\nASPNETCORE_URLS=http://*:1\nLOG_LEVEL=debug\nBIG_MODEL=a\nDATA_DIR=/srv\n"

    assert read(tmp_path, text, BIG_MODEL="b", LOG_LEVEL="") == {
        "LOG_LEVEL": "debug",
        "DATA_DIR": "/srv",
    }


def test_what_says_nothing_sets_nothing(tmp_path: Path) -> None:
    assert read(tmp_path, "BIG_MODEL=\nBIG_EFFORT=''\nSMALL_MODEL=  # none\n#LOG_LEVEL=debug") == {}
    assert read_env_file(tmp_path / "missing/.env", {}) == {}


def test_an_unreadable_file_is_named(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"BIG_MODEL=\xff")
    with pytest.raises(ConfigError, match=r"\.env.*UTF-8"):
        read_env_file(tmp_path / ".env", {})
    with pytest.raises(ConfigError, match="can't be read"):
        read_env_file(tmp_path, {})
