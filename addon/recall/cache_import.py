"""Takes the cache of deepseek-cursor-proxy over into recall, for one user; the command line runs
it as a program of its own: `python -m addon.recall.cache_import FILE --user ID --now MS`.

The cache is the SQLite table `reasoning_cache(key, reasoning, message_json, created_at)` with
several rows a turn, one for each key; `message_json` is the assistant's message, `created_at`
seconds (github.com/yxlao/deepseek-cursor-proxy, reasoning_store.py). The keys are digests of what
that program knew of the conversation: they say nothing here. A turn is found again by its calls'
ids, which the client got from the upstream as they were, or by a long text.

Each line of the output is a JSON object: `{"total": n}`, `{"done": n}` again and again, and a
`Tally` at the end. A fault is told on the standard error, with exit code 1.
"""

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path

import msgspec
from pysqlite3 import dbapi2

from addon.formats.neutral.problem import RequestError
from addon.formats.neutral.turn import ToolCall
from addon.formats.tolerant.history import messages_of
from addon.recall.identity import digest, new_token, normal_text
from addon.recall.record import Record, encode
from addon.recall.turn_keys import LONG_TEXT, Keys, is_unique
from shared.errors import ThinkbackError
from shared.profiles import builtin_profiles
from shared.store import open_engine, recall
from shared.store.engine import Engine, Statement, Transaction

__all__ = ("Tally", "main", "take_over")

_FAMILY = builtin_profiles()["deepseek-v4"].family
"""The one family of models that it serves."""

_FIELD = "reasoning_content"
_SHOWN = "<details>\n<summary>Thinking</summary>\n\n{reasoning}\n</details>\n\n{text}"
"""How it shows the reasoning in Cursor, which replays that as text (streaming.py there)."""

_BATCH = 200
"""Turns a transaction: a gateway that runs waits for none of them long."""

_TURNS = """
    SELECT message_json, reasoning, min(created_at) FROM reasoning_cache
    GROUP BY message_json, reasoning ORDER BY length(message_json) + length(reasoning) DESC
"""
"""The last state of a turn before earlier ones, which it keeps when its calls are named."""


class Tally(msgspec.Struct, kw_only=True):
    """What came over, and what did not."""

    turns: int = 0
    short: int = 0
    """Texts that are too short to be recognised by themselves."""

    unreadable: int = 0


class _Cached(msgspec.Struct, frozen=True):
    reasoning: str
    text: str
    calls: tuple[ToolCall, ...]
    made_at: int
    """Epoch milliseconds."""


def take_over(cache: Path, engine: Engine | None, namespace: bytes, now: int) -> Iterator[Tally]:
    """Keep each turn of the cache in the namespace, and yield the tally after each lot.

    Without an engine nothing is kept, only counted. Repeating it changes nothing. Raises
    ThinkbackError for a file that is no such cache.
    """
    tally = Tally()
    with closing(_opened(cache)) as source:
        rows = source.execute(_TURNS)
        while lot := rows.fetchmany(_BATCH):
            statements = [each for row in lot for each in _kept(row, namespace, now, tally)]
            if engine is not None:
                engine.transact(partial(_write, statements), alone=())
            yield tally


def _write(statements: list[Statement], transaction: Transaction) -> None:
    for statement in statements:
        transaction.run(*statement)


def count(cache: Path) -> int:
    """How many turns the cache has."""
    with closing(_opened(cache)) as source:
        [(total,)] = source.execute(f"SELECT count(*) FROM ({_TURNS})").fetchall()  # noqa: S608
    return int(total)


def _opened(cache: Path) -> dbapi2.Connection:
    try:
        source = dbapi2.connect(f"{cache.absolute().as_uri()}?mode=ro", uri=True)
        source.execute(f"{_TURNS} LIMIT 0")
    except dbapi2.Error as error:
        raise ThinkbackError(f"{cache} is no cache of deepseek-cursor-proxy: {error}.") from error
    return source


def _kept(
    row: tuple[object, object, object], namespace: bytes, now: int, tally: Tally
) -> Iterator[Statement]:
    cached = _read(row)
    if cached is None:
        tally.unreadable += 1
        return
    if not _is_findable(cached):
        tally.short += 1
        return
    tally.turns += 1
    texts = [cached.text]
    if not cached.calls:
        texts.append(_SHOWN.format(reasoning=cached.reasoning, text=cached.text))
    for text in texts:
        yield from _statements(cached, text, namespace, now)


def _read(row: tuple[object, object, object]) -> _Cached | None:
    """The turn of a row, unless it is damaged."""
    said, reasoning, created_at = row
    try:
        [message] = messages_of([json.loads(str(said))], joined=True)
    except (ValueError, RecursionError, RequestError):
        return None  # damaged, and counted as such
    is_turn = isinstance(reasoning, str) and isinstance(created_at, int | float)
    if not is_turn or message.role != "assistant":
        return None
    return _Cached(str(reasoning), message.text, message.calls, int(float(str(created_at)) * 1000))


def _is_findable(cached: _Cached) -> bool:
    if cached.calls:
        return all(map(is_unique, cached.calls))
    return len(normal_text(cached.text)) >= LONG_TEXT


def _statements(cached: _Cached, text: str, namespace: bytes, now: int) -> list[Statement]:
    keys, ids = Keys(namespace), tuple(call.id for call in cached.calls)
    said = ids or (cached.reasoning, text)
    record = Record(
        # The same turn has the same name, so that neither a second import nor an earlier state
        # changes anything.
        token=new_token(digest("import", namespace, *said)),
        reasoning=cached.reasoning,
        field=_FIELD,
        text=text,
        ids=ids,
        names=tuple(call.name for call in cached.calls),
        made_at=cached.made_at,
    )
    body, length = encode(record)
    ways = [keys.given(call_id) for call_id in ids] or [keys.text(normal_text(text))]
    kept = recall.keep_turn(
        token=record.token, namespace=namespace, complete=True, length=length, body=body, now=now
    )
    return [kept, *recall.add_keys(record.token, ways)]


def main(arguments: Sequence[str]) -> None:
    """Run the program; `DATABASE_URL` names the database."""
    parser = argparse.ArgumentParser(prog="addon.recall.cache_import")
    parser.add_argument("cache", type=Path)
    parser.add_argument("--user", type=int, required=True)
    parser.add_argument("--now", type=int, required=True, help="Epoch milliseconds.")
    parser.add_argument("--dry-run", action="store_true")
    wanted = parser.parse_args(arguments)
    namespace = digest(f"user:{wanted.user}", _FAMILY)
    _say({"total": count(wanted.cache)})
    tally = Tally()
    with ExitStack() as stack:
        engine = None
        if not wanted.dry_run:
            engine = stack.enter_context(closing(open_engine(os.environ["DATABASE_URL"])))
        for tally in take_over(wanted.cache, engine, namespace, wanted.now):
            _say({"done": tally.turns + tally.short + tally.unreadable})
    _say(tally)


def _say(line: object) -> None:
    sys.stdout.write(msgspec.json.encode(line).decode() + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except ThinkbackError as error:
        sys.exit(str(error))
