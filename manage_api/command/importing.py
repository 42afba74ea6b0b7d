"""`thinkback import`: takes over what another gateway has, and says what it can't take."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path

import click
import msgspec
from pysqlite3 import dbapi2

from shared.clock import SystemClock
from shared.config.load import load
from shared.errors import ThinkbackError
from shared.store import open_engine
from shared.store.accounts import find_user_by_name

__all__ = ("Report", "import_command")

_SQLITE = b"SQLite format 3\0"
"""How its files begin (https://www.sqlite.org/fileformat.html)."""

_TABLES = "SELECT name FROM sqlite_master WHERE type = 'table'"


class Report(msgspec.Struct, kw_only=True):
    """What came over, and what did not and why, in sentences."""

    source: str
    """What the file is."""

    taken: list[str] = []
    left_out: list[str] = []


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What the person asked for."""

    file: Path
    user: str
    """The account that gets remembered reasoning."""

    dry_run: bool


@click.command("import")
@click.argument("source", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--user", default="admin", show_default=True, help="Whose conversations they are.")
@click.option("--dry-run", is_flag=True, help="Only say what would come over.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as one JSON object.")
def import_command(source: Path, user: str, dry_run: bool, as_json: bool) -> None:
    """Take over what another gateway has in the file SOURCE: the reasoning that
    deepseek-cursor-proxy remembers.
    """
    wanted = Wanted(file=source, user=user, dry_run=dry_run)
    report = _reader(source)(wanted)
    if as_json:
        click.echo(msgspec.json.encode(report))
        return
    click.echo(_words(report, dry_run=dry_run))


def _reader(source: Path) -> Callable[[Wanted], Report]:
    """Return what takes over a file of this kind."""
    with source.open("rb") as file:
        is_database = file.read(len(_SQLITE)) == _SQLITE
    if is_database and "reasoning_cache" in _tables(source):
        return _take_cache
    raise ThinkbackError(f"{source} is nothing that Thinkback can take over (docs/operating.md).")


def _tables(source: Path) -> set[str]:
    try:
        with closing(dbapi2.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True)) as opened:
            return {name for (name,) in opened.execute(_TABLES)}
    except dbapi2.Error as error:
        raise ThinkbackError(f"Can't read the database {source}: {error}.") from error


def _words(report: Report, *, dry_run: bool) -> str:
    heads = ("Came over:", "Did not come over:")
    if dry_run:
        heads = ("Would come over:", "Would not come over:")
    lines = [f"This is {report.source}."]
    for head, sentences in zip(heads, (report.taken, report.left_out), strict=True):
        if sentences:
            lines += [head, *(f"  {sentence}" for sentence in sentences)]
    return "\n".join(lines)


class _Line(msgspec.Struct):
    """A line of the program's output: `addon/recall/cache_import.py` says which."""

    total: int = 0
    done: int = 0
    turns: int = 0
    short: int = 0
    unreadable: int = 0


def _take_cache(wanted: Wanted) -> Report:
    """Have the data plane's own program take the turns, as only that knows how they are kept."""
    database_url = load(os.environ).database_url
    with closing(open_engine(database_url)) as engine:
        owner = find_user_by_name(engine, wanted.user)
    if owner is None:
        raise ThinkbackError(f"There is no account “{wanted.user}”: see `thinkback user list`.")
    now = str(SystemClock().now_ms())
    arguments = [str(wanted.file.absolute()), "--user", str(owner[0].id), "--now", now]
    if wanted.dry_run:
        arguments.append("--dry-run")
    tally = _Line()
    lines = _run(arguments, os.environ | {"DATABASE_URL": database_url})
    total = next(lines).total
    with click.progressbar(length=total, label="Turns", file=sys.stderr) as bar:
        for tally in lines:
            bar.update(tally.done - bar.pos if tally.done else 0)
    return _cache_report(tally, wanted.user)


def _run(arguments: list[str], environ: Mapping[str, str]) -> Iterator[_Line]:
    """Run the program and yield its lines; raises ThinkbackError with its words."""
    command = [sys.executable, "-m", "addon.recall.cache_import", *arguments]
    with subprocess.Popen(
        command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as program:
        assert program.stdout
        assert program.stderr
        yield from (msgspec.json.decode(line, type=_Line) for line in program.stdout)
        if program.wait():
            raise ThinkbackError(program.stderr.read().strip())


def _cache_report(tally: _Line, user: str) -> Report:
    report = Report(source="a cache of deepseek-cursor-proxy")
    report.taken.append(f"{tally.turns} turns with their reasoning, for {user}")
    if tally.short:
        report.left_out.append(
            f"{tally.short} turns without an id of their own and with little text: they could be "
            "mistaken for others"
        )
    if tally.unreadable:
        report.left_out.append(f"{tally.unreadable} damaged rows")
    return report
