"""The same verbs on SQLite and on PostgreSQL answer alike and leave the same rows.

Names, texts and numbers are chosen to hurt: case, the signs of LIKE, letters whose lower case
depends on a language, numbers of more than 32 bits, empty ones and none.
"""

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from msgspec.structs import replace

from shared.errors import ThinkbackError
from shared.model import Limits, Period, Role
from shared.pricing import Price
from shared.store import (
    accounts,
    audit,
    ledger,
    nodes,
    open_engine,
    prices,
    recall,
    reports,
    virtual_keys,
)
from shared.store.engine import Change, Engine, apply_change
from shared.store.ledger import Entry, Opening
from tests.support.database import open_database
from tests.support.keys import create_key
from tests.support.postgres import empty_database, wipe

NAMES = st.sampled_from(
    [
        "ada",
        "Ada",
        "ADA",
        "Žofie",
        "žofie",
        "İstanbul",
        "a_b",
        "a%b",
        "100%",
        "\\x",
        "ß",
        "🙂",
        "a'b",
    ]
)
TEXTS = st.sampled_from(
    [
        "",
        "fix the error",
        "FIX",
        "C:\\x 100% _id",
        "错误 in main.py",
        "🙂",
        "'; --",
        ":at %s",
        "a-b OR",
    ]
)
NUMBERS = st.integers(0, 5) | st.sampled_from([32_767, 32_768, 2**31, 2**53])
USERS = st.integers(1, 4)
EXCHANGES = st.sampled_from([f"{number:024x}" for number in range(8)])
TOKENS = st.sampled_from([f"{number:026d}" for number in range(5)])
KEYS = st.sampled_from([bytes([number]) * 16 for number in range(5)])
NODES = st.sampled_from(["n1", "n2"])
NUMBERED = frozenset({"users", "virtual_keys", "ledger", "prices", "audit"})
ROWS = {
    "users": "id, username, role, disabled, epoch, models, quota_tokens",
    "virtual_keys": "id, user_id, name, digest, revoked_at",
    "recall_turns": "token, namespace, complete, length, bytes, used_at, body",
    "recall_keys": "key, (SELECT token FROM recall_turns WHERE id = turn)",
    "recall_sent": "key, value, used_at",
    "ledger": ", ".join(["id", ledger.ENTRY_COLUMNS]),
    "usage_daily": "day, user_id, upstream, model, requests, failures, unpriced, prompt_tokens",
    "spending": 'subject, period, "window", tokens, cost_micros',
    "open_exchanges": "exchange, node, user_id, reserved_tokens, entry",
    "conversations": "conversation, username, requests, prompt_tokens, unpriced, last_at",
    "prices": "id, upstream, model, from_day, input_micros, cached_micros",
    "audit": "id, exchange, text, bytes",
}
"""What of each table must be the same."""

FEW = settings(
    max_examples=max(settings().max_examples // 8, 10),
    stateful_step_count=20,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


class Engines(RuleBasedStateMachine):
    """Does everything on both."""

    def __init__(self) -> None:
        super().__init__()
        wipe(empty_database())
        self.directory = TemporaryDirectory()
        self.engines = [
            open_database(Path(self.directory.name) / "a.db"),
            open_engine(empty_database()),
        ]
        self.now = 1_764_000_000_000

    def teardown(self) -> None:
        for engine in self.engines:
            engine.close()
        self.directory.cleanup()

    def both(self, work: Callable[[Engine], object]) -> None:
        lite, server = (told(work, engine) for engine in self.engines)
        assert lite == server

    def write(self, change: Change) -> None:
        self.both(
            lambda engine: engine.transact(
                lambda transaction: apply_change(transaction, change), alone=()
            )
        )

    @rule(username=NAMES, role=st.sampled_from(["admin", "user"]))
    def make_user(self, username: str, role: Role) -> None:
        self.both(
            lambda engine: accounts.create_user(
                engine,
                username=username,
                password_hash="h",
                role=role,
                must_change_password=False,
                now=self.now,
            )
        )
        self.both(lambda engine: accounts.find_user_by_name(engine, username.swapcase()))

    @rule(part=NAMES | TEXTS, after=st.integers(0, 3))
    def search(self, part: str, after: int) -> None:
        self.both(
            lambda e: accounts.search_users(e, now_ms=self.now, text=part, after=after, limit=2)
        )
        self.both(lambda e: virtual_keys.search_keys(e, now_ms=self.now, text=part, limit=2))

    @rule(user=USERS, tokens=NUMBERS | st.none(), disabled=st.booleans())
    def change_user(self, user: int, tokens: int | None, disabled: bool) -> None:
        limits = Limits(quota_tokens=tokens)
        self.both(
            lambda engine: accounts.update_user(
                engine, user, lambda before: replace(before, limits=limits, disabled=disabled)
            )
        )

    @rule(user=USERS)
    def delete_user(self, user: int) -> None:
        self.both(lambda engine: accounts.delete_user(engine, user))

    @rule(user=USERS, name=NAMES)
    def make_key(self, user: int, name: str) -> None:
        self.now += 1
        digest = f"{self.now:064x}"
        self.both(
            lambda engine: create_key(
                engine,
                user_id=user,
                name=name,
                scope="inference",
                digest=digest,
                suffix="abcd",
                now=self.now,
            )
        )
        self.both(lambda engine: virtual_keys.find_key(engine, digest))

    @rule(
        exchange=EXCHANGES,
        user=USERS | st.none(),
        tokens=NUMBERS,
        cost=NUMBERS | st.none(),
        error=st.sampled_from(["", "lost"]),
        conversation=st.sampled_from(["", "c1", "c2"]),
        later=st.sampled_from([0, 1, 90_000_000]),
    )
    def settle(
        self, later: int, user: int | None, tokens: int, cost: int | None, **rest: str
    ) -> None:
        self.now += later
        entry = Entry(
            exchange=rest["exchange"],
            error_class=rest["error"],
            conversation=rest["conversation"],
            at=self.now,
            user_id=user,
            key_id=user,
            username="ada",
            model="m",
            upstream="u",
            prompt_tokens=tokens,
            cost_micros=cost,
        )
        self.write(ledger.settle(entry))

    @rule(exchange=EXCHANGES, user=USERS | st.none(), tokens=NUMBERS, node=NODES)
    def open(self, exchange: str, user: int | None, tokens: int, node: str) -> None:
        entry = Entry(exchange=exchange, at=self.now, user_id=user)
        opening = Opening(node=node, entry=entry, reserved_tokens=tokens, reserved_cost_micros=0)
        self.write([ledger.open_exchange(opening)])

    @rule(node=NODES, later=st.integers(0, 60_000))
    def beat(self, node: str, later: int) -> None:
        self.now += later
        self.write([nodes.beat(node, "1", self.now, self.now)])
        self.both(lambda e: nodes.lost_exchanges(e, node=node, running=(), now_ms=self.now))

    @rule(user=USERS, period=st.sampled_from(["lifetime", "month", "day"]))
    def balance(self, user: int, period: Period) -> None:
        self.both(lambda engine: ledger.balance_of(engine, f"user:{user}", period, self.now))

    @rule(
        token=TOKENS,
        complete=st.booleans(),
        body=st.binary(max_size=9),
        keys=st.lists(KEYS, max_size=3, unique=True),
        sent=st.sampled_from(["omit", "empty"]),
    )
    def keep(self, token: str, complete: bool, body: bytes, keys: list[bytes], sent: str) -> None:
        kept = recall.keep_turn(
            token=token,
            namespace=b"n",
            complete=complete,
            length=len(body),
            body=body,
            now=self.now,
        )
        notes = [recall.keep_sent(key, sent, self.now) for key in keys[:1]]
        self.write([kept, *recall.add_keys(token, keys), *notes])
        self.both(lambda engine: recall.turns_kept(engine, self.now))

    @rule(tokens=st.lists(TOKENS, max_size=5, unique=True), keys=st.lists(KEYS, max_size=5))
    def look_up(self, tokens: list[str], keys: list[bytes]) -> None:
        self.both(lambda engine: recall.find_turns(engine, b"n", tokens))
        self.both(lambda engine: recall.find_tokens(engine, keys, 64))
        self.both(lambda engine: recall.find_sent(engine, keys))

    @rule(since=st.integers(0, 3), size=st.integers(0, 500))
    def forget(self, since: int, size: int) -> None:
        self.write(recall.forget_old(unused_since=self.now - since, max_bytes=size))

    @rule(upstream=st.sampled_from(["", "u"]), day=st.integers(20251101, 20251103), micros=NUMBERS)
    def price(self, upstream: str, day: int, micros: int) -> None:
        self.both(
            lambda engine: prices.add_price(
                engine, upstream=upstream, model="m", from_day=day, price=Price(micros, micros)
            )
        )
        self.both(lambda e: prices.find_price(e, upstream="u", host="h", model="m", day=20251102))

    @rule(
        exchange=EXCHANGES,
        text=TEXTS,
        user=USERS,
        part=TEXTS,
        longest=st.none() | st.integers(1, 5),
    )
    def audited(self, exchange: str, text: str, user: int, part: str, longest: int | None) -> None:
        record = audit.AuditRecord(
            exchange=exchange,
            at=self.now,
            user_id=user,
            username="ada",
            model="m",
            upstream="u",
            status=200,
            text=text,
        )
        self.write([audit.add_record(record)])
        self.both(
            lambda e: unnumbered(audit.search(e, audit.AuditFilter(text=part), longest=longest)[0])
        )

    @rule(by=st.sampled_from(["user", "model", "upstream", "day", "key"]), user=USERS | st.none())
    def usage(self, by: reports.Dimension, user: int | None) -> None:
        usage = reports.UsageFilter(user_id=user)
        self.both(lambda engine: reports.usage_by(engine, by, usage))
        self.both(lambda engine: reports.largest_usage(engine, by, usage))

    @invariant()
    def same_rows(self) -> None:
        for table, columns in ROWS.items():
            order = "ORDER BY 1" if table in NUMBERED else ""
            lite, server = (
                engine.read(f"SELECT {columns} FROM {table} {order}") for engine in self.engines
            )
            assert rows(table, lite) == rows(table, server), table


def told(work: Callable[[Engine], object], engine: Engine) -> object:
    """What a verb returns or says."""
    try:
        return work(engine)
    except (ThinkbackError, ValueError) as error:
        return type(error), str(error)


def unnumbered(records: list[audit.NumberedRecord]) -> list[audit.NumberedRecord]:
    return [replace(record, id=0) for record in records]


def rows(table: str, found: list[Any]) -> list[Any]:
    """Numbers may have gaps: their order counts, not they."""
    if table in NUMBERED - {"users"}:
        return [row[1:] for row in found]
    return sorted(found, key=repr)


def test_both_databases_answer_alike_and_hold_the_same_rows() -> None:
    run_state_machine_as_test(Engines, settings=FEW)  # type: ignore[no-untyped-call]
