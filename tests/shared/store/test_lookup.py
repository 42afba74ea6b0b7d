"""What a request wants to know of the store is answered by one call."""

from typing import Any, cast

from msgspec.structs import replace

from shared.pricing import Price
from shared.security.tokens import issue_token
from shared.store.accounts import create_user
from shared.store.answers import StoredAnswer, add_answer
from shared.store.engine import NO_PARAMS, Engine, Row
from shared.store.ledger import Balance
from shared.store.lookup import (
    AnswerWanted,
    BalanceWanted,
    PriceWanted,
    SessionWanted,
    Wanted,
    look_up,
)
from shared.store.prices import add_price
from shared.store.ratios import Learned, Ratio, learn_ratio
from shared.store.recall import add_keys, keep_sent, keep_turn
from tests.shared.store.plans import only_sqlite
from tests.support.keys import create_key

SECRET = bytes(range(32))
NOW = 1_800_000_000_000
NAMESPACE = b"user:1"
ANSWER = StoredAnswer(
    id="resp_1", principal="user:1", created_at=5, previous="", items=b"[]", response=b"{}"
)
ALL = Wanted(
    turns={NAMESPACE: ["turn", "gone"], b"user:2": ["turn"]},
    keys=[b"key", b"none"],
    most=4,
    sent=[b"place", b"none"],
    answers=[
        AnswerWanted(principal="user:1", id="resp_1", since_ms=0),
        AnswerWanted(principal="user:2", id="resp_1", since_ms=0),
    ],
    price=PriceWanted(upstream="up", host="up.example", model="m", day=20260101),
    ratio="m",
)


def test_nothing_is_found_where_nothing_is(engine: Engine) -> None:
    found = look_up(engine, ALL)
    assert (found.turns, found.sent, found.answers) == ({NAMESPACE: {}, b"user:2": {}}, {}, {})
    assert found.tokens == {b"key": [], b"none": []}
    assert (found.price, found.ratio) == (None, Ratio())


def test_all_that_is_wanted_comes_at_once(engine: Engine) -> None:
    price = Price(1_000_000, 2_000_000)
    add_price(engine, upstream="up", model="m", from_day=20250101, price=price)
    turn = keep_turn(
        token="turn", namespace=NAMESPACE, complete=True, length=4, body=b"body", now=3
    )
    statements = [
        turn,
        *add_keys("turn", [b"key"]),
        keep_sent(b"place", "omit", 4),
        add_answer(ANSWER),
        learn_ratio("m", Learned(Ratio(8, 2, 4, 1))),
    ]
    engine.transact(lambda work: [work.run(*statement) for statement in statements], alone=())
    found = look_up(engine, ALL)
    assert found.turns == {NAMESPACE: {"turn": (b"body", 3)}, b"user:2": {}}
    assert found.tokens == {b"key": ["turn"], b"none": []}
    assert found.sent == {b"place": ("omit", 4)}
    assert found.answers == {"resp_1": ANSWER}
    assert (found.price, found.ratio) == (price, Ratio(8, 2, 4, 1))


def test_callers_and_what_they_have_spent_are_looked_up_too(engine: Engine) -> None:
    owner = create_user(
        engine,
        username="ada",
        password_hash="-",
        role="user",
        must_change_password=False,
        now=1,
    )
    create_key(
        engine, user_id=owner.id, name="k", scope="inference", digest="d" * 64, suffix="abcd", now=1
    )
    token = issue_token(owner, SECRET, now=NOW // 1000)
    shown = SessionWanted(token=token, secret=SECRET, now_ms=NOW)
    wanted = Wanted(
        key="d" * 64,
        session=shown,
        balances=[BalanceWanted(subject=f"user:{owner.id}", period="day", now_ms=NOW)] * 2,
    )
    found = look_up(engine, wanted)
    assert found.key is not None
    assert (found.key[0].name, found.key[1], found.session) == ("k", owner, (owner, None))
    assert found.balances == [Balance(), Balance()]
    nobody = look_up(engine, Wanted(key="other", session=replace(shown, token="a.b.c")))
    assert (nobody.key, nobody.session, nobody.balances) == (None, None, [])


@only_sqlite
def test_what_is_left_out_is_not_read(engine: Engine) -> None:
    for table in ("recall_turns", "recall_keys", "recall_sent", "answers", "token_ratios"):
        engine.transact(lambda work, table=table: work.run(f"DROP TABLE {table}"), alone=())
    found = look_up(
        engine, Wanted(price=PriceWanted(upstream="up", host="h", model="m", day=20260101))
    )
    assert (found.turns, found.tokens, found.price) == ({}, {}, None)


class Distant:
    """The engine as if a read of it left the process; counts the reads."""

    remote = True

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.dialect = engine.dialect
        self.reads = 0

    def read(self, sql: str, params: Any = NO_PARAMS) -> list[Row]:
        self.reads += 1
        return self._engine.read(sql, params)


def test_what_is_remembered_comes_from_afar_by_one_statement_and_is_the_same(
    engine: Engine,
) -> None:
    for number in range(5):
        token, now = f"turn{number}", number + 1
        turn = keep_turn(
            token=token, namespace=NAMESPACE, complete=True, length=4, body=b"body", now=now
        )
        sent = keep_sent(b"place%d" % number, "omit", number)
        statements = [turn, *add_keys(token, [b"key%d" % number, b"crowd"]), sent]
        engine.transact(lambda work, done=statements: [work.run(*one) for one in done], alone=())
    wanted = Wanted(
        turns={NAMESPACE: ["turn0", "turn3", "gone"], b"user:2": ["turn1"]},
        keys=[b"key1", b"crowd", b"none", b"a key that is longer than is kept of it"],
        most=4,
        sent=[b"place2", b"place4", b"none"],
    )
    distant = Distant(engine)
    assert look_up(cast(Engine, distant), wanted) == look_up(engine, wanted)
    assert distant.reads == 1
    assert look_up(cast(Engine, distant), Wanted()) == look_up(engine, Wanted())
    assert distant.reads == 1


def test_a_crowd_under_one_key_leaves_room_for_the_others_from_afar_too(engine: Engine) -> None:
    tokens = [f"turn{number}" for number in range(900)]
    for token in tokens:
        turn = keep_turn(token=token, namespace=NAMESPACE, complete=True, length=4, body=b"", now=1)
        engine.write_later([turn, *add_keys(token, [b"crowd"])])
    engine.write_later(add_keys("turn7", [b"key"]))
    engine.flush()
    wanted = Wanted(keys=[b"crowd", b"key"], most=4)
    found = look_up(cast(Engine, Distant(engine)), wanted).tokens
    assert (len(found[b"crowd"]), found[b"key"]) == (4, ["turn7"])
