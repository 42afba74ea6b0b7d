"""Long work has a bar, on a terminal only."""

import io
from pathlib import Path

from manage_api.command.progress import growing
from tests.support.gateway import eventually


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_sees_how_far_a_file_has_grown(tmp_path: Path) -> None:
    terminal, file = Terminal(), tmp_path / "copy.db"
    with growing(file, 1000, "Copying", terminal):
        file.write_bytes(b"x" * 500)
        assert eventually(lambda: "50%" in terminal.getvalue())
    assert "Copying" in terminal.getvalue()
    assert "100%" in terminal.getvalue()


def test_nothing_else_sees_a_thing(tmp_path: Path) -> None:
    with growing(tmp_path / "copy.db", 1000, "Copying", plain := io.StringIO()):
        pass
    assert plain.getvalue() == ""
