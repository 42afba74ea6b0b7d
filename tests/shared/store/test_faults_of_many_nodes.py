"""What went wrong when several nodes worked on one database: each fault is looked for at every
point at which another node can come into a transaction.
"""

from collections.abc import Callable

import pytest

from addon.formats.neutral.problem import RequestError
from shared.errors import Busy
from shared.store.accounts import LastAdmin, create_user, list_users, set_disabled
from shared.store.bootstrap import FirstAccount, ensure_admin
from shared.store.conversations import find_conversation
from shared.store.engine import Change, Engine
from shared.store.ledger import balance_of, exchange_name, settle
from shared.store.nodes import beat
from shared.store.reports import EntryFilter, entries_after, newest_entry
from tests.addon.recall.chat import StoppedClock
from tests.properties.test_two_nodes import RESERVED, Node
from tests.shared.store.interleaving import Interrupted
from tests.shared.store.test_ledger import NOON, entry, ledger, opening, spent
from tests.shared.store.test_nodes import lose


def before_each_of(statements: int) -> pytest.MarkDecorator:
    """The other node comes before each statement of a transaction, and after its last."""
    return pytest.mark.parametrize("point", range(statements + 1))


def write(engine: Engine, change: Change, exchange: str) -> None:
    """Commit it as a node does that waits for nobody."""
    if not engine.try_write(change, alone=(exchange_name(exchange),)):
        raise Busy


def both(
    engine: Engine, point: int, first: Callable[[Engine], object], other: Callable[[], object]
) -> None:
    """Do what the first node does, with the other coming in at that point."""
    interrupted = Interrupted(engine, point, other)
    first(interrupted)
    interrupted.end()


@before_each_of(5)
def test_1_an_exchange_that_two_nodes_settle_counts_once(
    engine: Engine, beside: Engine, point: int
) -> None:
    lost = entry(error_class="lost", status=0, conversation="c")
    both(
        engine,
        point,
        lambda first: write(first, settle(entry(conversation="c")), "x1"),
        lambda: write(beside, settle(lost), "x1"),
    )
    assert [one.error_class for one in ledger(engine)] == [""]
    assert engine.read("SELECT requests, prompt_tokens, failures FROM usage_daily") == [(1, 100, 0)]
    assert (spent(engine), spent(engine, "key:3")) == ((120, 50), (120, 50))
    conversation = find_conversation(engine, "c")
    assert conversation
    assert (conversation.requests, conversation.prompt_tokens) == (1, 100)


@before_each_of(5)
def test_2_answers_of_one_conversation_that_end_at_once_are_all_in_its_sums(
    engine: Engine, beside: Engine, point: int
) -> None:
    both(
        engine,
        point,
        lambda first: write(first, settle(entry("x1", conversation="c", model="a")), "x1"),
        lambda: write(beside, settle(entry("x2", conversation="c", model="b")), "x2"),
    )
    conversation = find_conversation(engine, "c")
    assert conversation
    assert (conversation.requests, conversation.prompt_tokens) == (2, 200)
    [(latest, model)] = engine.read(
        "SELECT latest, ledger.model FROM conversations JOIN ledger ON ledger.id = latest"
    )
    assert engine.read("SELECT max(id) FROM ledger") == [(latest,)]
    assert conversation.model == model


def test_3_an_entry_that_is_committed_after_one_with_a_higher_number_is_found(
    engine: Engine,
) -> None:
    def new(after: int, known: set[int]) -> list[int]:
        found = entries_after(
            engine, EntryFilter(), after=after, upto=newest_entry(engine), known=known, limit=2
        )
        return [number for number, _ in found]

    engine.try_write(settle(entry("x1")))
    first, gap = newest_entry(engine), 10
    engine.try_write([*settle(entry("x2")), *settle(entry("x3")), *settle(entry("x4"))])
    engine.try_write([("UPDATE ledger SET id = id + :gap WHERE id > 1", {"gap": gap})])
    last = newest_entry(engine)
    known = {*new(0, set()), *new(first, {last - 2})}
    assert known == {first, last - 2, last - 1, last}
    engine.try_write(
        [*settle(entry("late")), ("UPDATE ledger SET id = 5 WHERE exchange = 'late'", {})]
    )
    assert new(0, known) == [5]
    assert new(0, {*known, 5}) == []
    assert new(0, {5}) == [first, last - 2]


@before_each_of(5)
@pytest.mark.parametrize("opens_first", [True, False])
def test_4_nothing_stays_reserved_that_is_opened_beside_its_settlement(
    engine: Engine, beside: Engine, point: int, opens_first: bool
) -> None:
    changes: list[Change] = [settle(entry()), [opening()]]
    if opens_first:
        changes.reverse()
    engine.try_write([beat("n1", "1", NOON, NOON)])
    both(
        engine,
        point,
        lambda first: write(first, changes[0], "x1"),
        lambda: write(beside, changes[1], "x1"),
    )
    assert engine.read("SELECT * FROM open_exchanges") == []
    assert balance_of(engine, "user:7", "day", NOON).reserved_tokens == 0


@before_each_of(3)
def test_5_two_nodes_reserve_no_more_than_the_quota(
    engine: Engine, database: str, point: int
) -> None:
    clock, granted = StoppedClock(), []
    nodes = [Node(database, name, clock) for name in ("a", "b")]

    def reserve(node: Node) -> None:
        opened = node.open(f"of {node.name}", clock.ms, quota_tokens=2 * RESERVED - 1)
        try:
            node.meter.reserve(opened)
        except RequestError:
            return
        if not opened.reserved:
            raise Busy
        granted.append(opened)

    one, other = nodes
    one.engine.interrupt(point, lambda: reserve(other))
    reserve(one)
    one.engine.end()
    assert len(granted) == 1
    assert balance_of(engine, "user:7", "day", clock.ms).reserved_tokens == RESERVED
    for node in nodes:
        node.engine.close()


@before_each_of(4)
def test_6_of_programs_that_start_together_one_makes_the_first_account(
    engine: Engine, beside: Engine, point: int
) -> None:
    made: list[FirstAccount | None] = []

    def start(node: Engine) -> None:
        made.append(ensure_admin(node, password="a long enough one", now=1))

    both(engine, point, start, lambda: start(beside))
    assert len([account for account in made if account]) == 1
    assert [user.username for user in list_users(engine)] == ["admin"]


@before_each_of(4)
def test_7_of_admins_that_disable_each_other_one_stays(
    engine: Engine, beside: Engine, point: int
) -> None:
    ada, bob = (
        create_user(
            engine,
            username=name,
            password_hash="h",
            role="admin",
            must_change_password=False,
            now=1,
        )
        for name in ("ada", "bob")
    )
    refused = []

    def disable(node: Engine, user_id: int) -> None:
        try:
            set_disabled(node, user_id, True)
        except LastAdmin:
            refused.append(user_id)

    both(engine, point, lambda first: disable(first, ada.id), lambda: disable(beside, bob.id))
    assert len(refused) == 1
    assert [user.id for user in list_users(engine) if not user.disabled] == refused


@before_each_of(11)
def test_16_what_a_node_says_late_takes_the_place_of_what_was_guessed(
    engine: Engine, beside: Engine, point: int
) -> None:
    guess = {"upstream": "first", "conversation": "c", "prompt_tokens": 40, "completion_tokens": 0}
    engine.try_write([opening("x1", **guess), *settle(entry("x0", conversation="c"))])
    assert lose(engine, NOON) == 1
    truth = entry("x1", conversation="c", completion_tokens=900, cost_micros=80, duration_ms=70_000)
    both(
        engine,
        point,
        lambda first: write(first, settle(truth), "x1"),
        lambda: write(beside, settle(entry("x2", conversation="c")), "x2"),
    )
    assert {one.exchange: one for one in ledger(engine)}["x1"] == truth
    assert engine.read(
        "SELECT upstream, requests, failures, prompt_tokens, completion_tokens FROM usage_daily"
    ) == [("up", 3, 0, 300, 940)]
    for subject in ("user:7", "key:3"):
        assert spent(engine, subject) == spent(engine, subject, "day") == (1240, 180)
    conversation = find_conversation(engine, "c")
    assert conversation
    assert (conversation.requests, conversation.estimated, conversation.completion_tokens) == (
        3,
        0,
        940,
    )
