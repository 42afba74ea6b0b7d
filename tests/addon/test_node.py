"""The running node: what is settled, even over a store that no longer answers everything."""

from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from addon.exchange.exchange import Exchange
from addon.exchange.intake import Intake
from addon.formats.paths import classify
from addon.node import Node
from addon.recall.memory import Record
from shared.errors import StoreError
from shared.model import Limits
from shared.security.secrets import derive, load_secret, mint_secret, replace_secret
from shared.security.tokens import issue_token
from shared.store.accounts import create_user
from shared.store.nodes import LivingNode, living_nodes
from shared.store.recall import kept_bytes
from shared.store.sessions import end_session
from tests.addon.callers import principal, user
from tests.addon.desk import body, open_exchange, whole
from tests.addon.ledger.ended import SAYING, delivery
from tests.support.database import make_unreadable

CONFIG = """
[[upstreams]]
name = "one"
base_url = "https://one.example"
api_keys = ["sk-one-secret"]
"""
CALLER = principal(user(limits=Limits(concurrency=1, quota_tokens=100_000)))


TURNS = ("recall_turns", "recall_keys", "recall_sent", "recall_days")


def node_environment(directory: Path) -> dict[str, str]:
    return {
        "CONFIG_PATH": str(directory / "config.toml"),
        "DATABASE_URL": f"sqlite:{directory}/data/adapter.db",
    }


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    (tmp_path / "config.toml").write_text(CONFIG)
    node = Node(node_environment(tmp_path))
    yield node
    node.engine.close()


def opened(node: Node) -> Exchange:
    endpoint = classify("/v1/chat/completions")
    assert endpoint is not None
    intake = Intake(node.services, node.snapshot, CALLER, endpoint, {})
    return open_exchange(intake, body())


def break_prices(node: Node) -> None:
    """From now on no price can be read."""
    node.engine.transact(lambda work: work.run("DROP TABLE prices"), alone=())


def settled(node: Node, exchange: Exchange) -> dict[str, object]:
    """The ledger's row of the exchange, which has just ended."""
    node.settle(exchange.outcome(), exchange.opened, delivery())
    columns = "exchange, status, prompt_tokens, completion_tokens, cost_micros, estimated"
    [row] = node.engine.read(f"SELECT {columns} FROM ledger")
    return dict(zip(columns.split(", "), row, strict=True))


def test_what_was_counted_is_entered_when_its_price_cant_be_read(node: Node) -> None:
    exchange = opened(node)
    whole(exchange, SAYING)
    break_prices(node)
    usage = exchange.outcome().usage
    assert usage is not None
    assert settled(node, exchange) == {
        "exchange": exchange.outcome().entry.exchange,
        "status": 200,
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "cost_micros": None,
        "estimated": 0,
    }


def test_the_guess_of_the_opening_is_entered_when_nothing_was_counted(node: Node) -> None:
    exchange = opened(node)
    exchange.accepted()
    break_prices(node)
    entry = settled(node, exchange)
    assert entry["prompt_tokens"] == exchange.opened.entry.prompt_tokens > 0
    assert entry["estimated"] == 1


def test_neither_the_reservation_nor_the_place_of_such_an_exchange_stays_held(node: Node) -> None:
    exchange = opened(node)
    break_prices(node)
    settled(node, exchange)
    assert node.engine.read("SELECT COUNT(*) FROM open_exchanges") == [(0,)]
    node.meter.give_back(node.meter.admit(CALLER))


def remember(node: Node, turns: int) -> None:
    """Remember so many turns, each with a long reasoning that can't be compressed much."""
    random = Random(1)
    for number in range(turns):
        record = Record(token=f"token{number:011}", reasoning=random.randbytes(10_000).hex())
        node.recall.keep(b"namespace", record, [b"key"], durable=True)


def test_a_start_reads_no_turns_however_many_there_are(node: Node, tmp_path: Path) -> None:
    remember(node, 5)
    node.engine.close()
    make_unreadable(tmp_path / "data" / "adapter.db", *TURNS)
    started = Node(node_environment(tmp_path))
    try:
        assert started.store_answers()
        with pytest.raises(StoreError, match="malformed"):
            started.recall.turns(b"namespace", [f"token{0:011}"])
    finally:
        started.engine.close()


def test_turns_beyond_the_bound_are_let_go_within_seconds(node: Node, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(f"{CONFIG}\n[recall]\nmax_mib = 1\n")
    node.each_second()
    remember(node, 150)
    assert kept_bytes(node.engine) > 1024 * 1024
    node.each_second()
    node.engine.flush()
    assert 1000 * 1024 < kept_bytes(node.engine) <= 1024 * 1024


def test_without_a_bound_of_its_own_a_node_keeps_what_the_disk_has_room_for(node: Node) -> None:
    remember(node, 150)
    before = kept_bytes(node.engine)
    node.each_second()
    node.engine.flush()
    assert kept_bytes(node.engine) == before


def test_what_clients_carry_outlives_a_change_of_the_secret(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(CONFIG)
    services = []
    for _ in range(2):
        node = Node(node_environment(tmp_path))
        services.append(node.services)
        node.engine.close()
        replace_secret(tmp_path / "data", mint_secret())
    before, after = services

    assert after.id_key == before.id_key
    assert after.seal_key != before.seal_key
    assert after.retired_seal_keys == (before.seal_key,)


@pytest.fixture
def beside(node: Node, tmp_path: Path) -> Iterator[Node]:
    """Another node over the same database, with a file of its own."""
    file = tmp_path / "other.toml"
    file.write_text(CONFIG)
    other = Node(node_environment(tmp_path) | {"CONFIG_PATH": str(file)})
    yield other
    other.engine.close()


def described(*nodes: Node) -> list[LivingNode]:
    for node in nodes:
        node.engine.flush()
    return living_nodes(nodes[0].engine, nodes[0].engine.now_ms())


def test_fault_26_nodes_say_by_which_settings_they_run(
    node: Node, beside: Node, tmp_path: Path
) -> None:
    one, other = described(node, beside)
    assert (one.configuration, one.secret) == (other.configuration, other.secret)
    assert one.host
    (tmp_path / "other.toml").write_text(CONFIG.replace("one.example", "two.example"))
    beside.reload()
    one, other = described(node, beside)
    assert one.configuration != other.configuration
    assert one.secret == other.secret


def test_a_session_that_is_ended_anywhere_is_ended_at_every_node(
    node: Node, beside: Node, tmp_path: Path
) -> None:
    secret, now = derive(load_secret(tmp_path / "data"), "jwt"), node.clock.now_ms()
    account = create_user(
        node.engine,
        username="grace",
        password_hash="x",
        role="user",
        must_change_password=False,
        now=now,
    )
    token = issue_token(account, secret, now=now // 1000)
    assert [one.read_token(token) for one in (node, beside)] == [(account, None)] * 2
    end_session(node.engine, token, secret, now_ms=now)
    assert [one.read_token(token) for one in (node, beside)] == [None, None]


@pytest.mark.parametrize(("workers", "written"), [("1/1", 0), ("1/2", 1)])
def test_one_of_several_workers_writes_a_turn_as_it_begins(
    tmp_path: Path, workers: str, written: int
) -> None:
    (tmp_path / "config.toml").write_text(CONFIG)
    node = Node(node_environment(tmp_path) | {"THINKBACK_WORKER": workers})
    begun = Record(token="token", reasoning="why", text="", complete=False)
    node.recall.keep(b"namespace", begun, [b"key"], durable=False)
    node.engine.flush()
    assert len(node.engine.read("SELECT token FROM recall_turns")) == written
    node.engine.close()
