"""Two nodes with the same settings have the same fingerprint, which tells nothing of them."""

from pathlib import Path

import pytest

from shared.config.fingerprint import configuration_fingerprint, secret_fingerprint
from shared.config.load import read_base

SECRET = bytes(range(32))
FILE = """
[server]
listen_addr = "127.0.0.1:8787"
max_messages = 100

[[upstreams]]
name = "one"
base_url = "https://one.example"
api_keys = ["sk-one-secret"]
"""


def fingerprint(directory: Path, text: str = FILE, secret: bytes = SECRET, **environ: str) -> str:
    (directory / "config.toml").write_text(text)
    base = read_base({"CONFIG_PATH": str(directory / "config.toml"), **environ})
    return configuration_fingerprint(base, secret)


def test_what_belongs_to_one_machine_does_not_count(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    moved = FILE.replace("127.0.0.1:8787", "127.0.0.2:9000") + '\n[logging]\nlevel = "debug"\n'
    own = {"DATABASE_URL": "sqlite:other.db", "ADMIN_LISTEN_ADDR": "127.0.0.1:9001"}
    assert fingerprint(tmp_path) == fingerprint(elsewhere, moved, **own)


@pytest.mark.parametrize(
    "text",
    [FILE.replace("100", "101"), FILE.replace("sk-one", "sk-two"), ""],
    ids=["setting", "key", "nothing"],
)
def test_any_other_setting_counts(tmp_path: Path, text: str) -> None:
    assert fingerprint(tmp_path) != fingerprint(tmp_path, text)


def test_the_environment_counts(tmp_path: Path) -> None:
    assert fingerprint(tmp_path) != fingerprint(tmp_path, ADMIN_PASSWORD="a long password")


def test_who_does_not_have_the_secret_can_guess_at_nothing(tmp_path: Path) -> None:
    other = bytes(reversed(SECRET))
    assert fingerprint(tmp_path) != fingerprint(tmp_path, secret=other)
    assert secret_fingerprint(SECRET) != secret_fingerprint(other)
    assert len(secret_fingerprint(SECRET)) == len(fingerprint(tmp_path)) == 16
