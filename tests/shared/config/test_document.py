from pathlib import Path

import pytest

from shared.config.document import Document
from shared.errors import ConfigError, Problem


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "any.toml"


def problem(file: Path) -> Problem:
    with pytest.raises(ConfigError) as refused:
        Document.read(str(file))
    [problem] = refused.value.problems
    return problem


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"a = 1\nb = \n", 2),
        (b"a = 1\r\nb = [\r\n", 3),
        (b"a = 1\na = 2\n", 2),
        (b"[a\n", 1),
        (b"a = " + b"9" * 5000, None),
        (b"a = " + b"[" * 100_000, None),
    ],
    ids=["value", "end", "twice", "header", "long number", "nested too deeply"],
)
def test_a_syntax_error_names_its_line_where_known(
    file: Path, content: bytes, line: int | None
) -> None:
    file.write_bytes(content)

    found = problem(file)

    assert (found.key, found.line, found.source) == ("syntax", line, str(file))
    assert found.message.startswith("is not TOML: ")


def test_text_that_is_not_utf8_names_its_line(file: Path) -> None:
    file.write_bytes(b"a = 1\nb = '\xe4'\n")

    assert problem(file) == Problem("file", "must be saved as UTF-8 text", 2, str(file))


def test_a_byte_order_mark_is_no_mistake(file: Path) -> None:
    file.write_bytes(b"\xef\xbb\xbfa = 1\r\n")

    assert Document.read(str(file)).tree == {"a": 1}


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    assert problem(tmp_path) == Problem(
        "file", "can't be read: Is a directory", source=str(tmp_path)
    )


def test_a_missing_file_is_the_callers_to_judge(file: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Document.read(str(file))


def test_a_problem_carries_the_line_of_its_key(file: Path) -> None:
    file.write_text("[a]\n'b c' = 1\n")

    found = Document.read(str(file)).problem(("a", "b c"), "is wrong")

    assert str(found) == f'{file}:2: a."b c": is wrong'
