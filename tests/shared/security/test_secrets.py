"""The secret of an installation is made once, kept closed, and gives every purpose its own."""

from pathlib import Path

import pytest

from shared.security.secrets import SecretError, derive, load_secret
from tests.shared.processes import run_together


def test_a_missing_secret_is_made_and_kept(tmp_path: Path) -> None:
    directory = tmp_path / "data"
    secret = load_secret(directory)
    assert len(secret) == 32
    assert load_secret(directory) == secret
    assert [file.name for file in directory.iterdir()] == ["secret.key"]


def test_the_secret_is_its_owners_only(tmp_path: Path) -> None:
    load_secret(tmp_path / "data")
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "data" / "secret.key").stat().st_mode & 0o777 == 0o600


def test_two_installations_have_two_secrets(tmp_path: Path) -> None:
    assert load_secret(tmp_path / "a") != load_secret(tmp_path / "b")


def test_programs_that_start_at_once_agree(tmp_path: Path) -> None:
    code = """
import sys
from pathlib import Path
from shared.security.secrets import load_secret
begin()
print(load_secret(Path(sys.argv[1])).hex())
"""
    secrets = run_together(8, code, tmp_path / "data")
    assert set(secrets) == {load_secret(tmp_path / "data").hex() + "\n"}


@pytest.mark.parametrize(
    ("content", "mode", "words"),
    [
        pytest.param(b"x" * 32, 0o644, "run chmod 600", id="everybody-reads"),
        pytest.param(b"x" * 31, 0o600, "has 31 bytes instead of 32", id="short"),
        pytest.param(b"", 0o600, "has 0 bytes", id="empty"),
        pytest.param(b"x" * 33, 0o600, "has 33 bytes", id="long"),
    ],
)
def test_a_secret_that_is_none_is_refused_in_words_and_left_alone(
    content: bytes, mode: int, words: str, tmp_path: Path
) -> None:
    file = tmp_path / "secret.key"
    file.write_bytes(content)
    file.chmod(mode)
    with pytest.raises(SecretError, match=words):
        load_secret(tmp_path)
    assert file.read_bytes() == content


def test_a_secret_that_cannot_be_read_is_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "secret.key").mkdir()
    with pytest.raises(SecretError, match=r"Can't read or create the secret .*: Is a directory"):
        load_secret(tmp_path)


def test_every_purpose_has_its_own_secret() -> None:
    secret, other = bytes(32), bytes(range(32))
    derived = [
        derive(secret, "jwt"),
        derive(secret, "sealing"),
        derive(secret, ""),
        derive(other, "jwt"),
    ]
    assert len(set(derived)) == 4
    assert {len(key) for key in derived} == {32}
    assert derive(secret, "jwt") == derived[0]
