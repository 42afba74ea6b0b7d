"""What the database costs on the way of a request: look-ups, a reservation, a settlement."""

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from statistics import median
from time import perf_counter_ns

from msgspec.structs import replace

from addon.ledger.meter import Meter, Opened
from shared.clock import SystemClock
from shared.model import Limits, Principal, User
from shared.security.keys import digest, mint_key, suffix
from shared.security.tokens import issue_token
from shared.store import open_engine
from shared.store.accounts import create_user, find_user
from shared.store.engine import Engine
from shared.store.ledger import Entry, balance_of, settle
from shared.store.lookup import PriceWanted, Wanted, look_up
from shared.store.prices import find_price
from shared.store.ratios import Learned, Ratio, learn_ratio, read_ratio
from shared.store.sessions import session_user
from shared.store.virtual_keys import find_key
from tests.support.keys import create_key

__all__ = ("each", "measure_books", "past_entry")

USERS = 2_000
ENTRIES = 20_000
ROUNDS = 2_000
SECRET = b"a secret of the bench, long enough for HMAC"


def measure_books(directory: Path) -> dict[str, float]:
    """Microseconds, the median of each, over a database with some users and a past."""
    with closing(open_engine(f"sqlite:{directory}/adapter.db")) as engine:
        users, keys = _people(engine)
        _past(engine)
        return _lookups(engine, users, keys) | _writes(engine, users[0])


def _people(engine: Engine) -> tuple[list[User], list[str]]:
    users, keys = [], []
    for number in range(USERS):
        user = create_user(
            engine,
            username=f"user{number}",
            password_hash="x",
            role="user",
            must_change_password=False,
            now=0,
        )
        key = mint_key()
        create_key(
            engine,
            user_id=user.id,
            name="k",
            scope="inference",
            digest=digest(key),
            suffix=suffix(key),
            now=0,
        )
        users.append(user)
        keys.append(key)
    return users, keys


def _past(engine: Engine) -> None:
    for number in range(ENTRIES):
        engine.write_later(settle(past_entry(number)))
        if number % 1000 == 0:
            engine.flush()
    engine.write_later([learn_ratio("m", Learned(Ratio(4000, 1000, 400, 100)))])
    engine.flush()


def past_entry(number: int) -> Entry:
    return Entry(
        exchange=f"past{number}",
        at=1_795_000_000_000 + number,
        user_id=1 + number % USERS,
        key_id=1 + number % USERS,
        model="m",
        upstream="up",
        upstream_model="m",
        status=200,
        prompt_tokens=1000,
        completion_tokens=100,
        conversation=f"c{number // 40}",
    )


def _lookups(engine: Engine, users: list[User], keys: list[str]) -> dict[str, float]:
    digests = [digest(key) for key in keys]
    token = issue_token(users[-1], SECRET, now=1_795_000_000)
    now = 1_795_000_000_000
    return {
        "a key with its user": each(lambda n: find_key(engine, digests[n % USERS])),
        "a user": each(lambda n: find_user(engine, 1 + n % USERS)),
        "a session (with its signature)": each(
            lambda n: session_user(engine, token, SECRET, now_ms=now)
        ),
        "a balance": each(lambda n: balance_of(engine, f"user:{1 + n % USERS}", "month", now)),
        "a model's bytes per token": each(lambda n: read_ratio(engine, "m")),
        "a price": each(
            lambda n: find_price(engine, upstream="up", host="up.example", model="m", day=20261120)
        ),
    }


def _writes(engine: Engine, user: User) -> dict[str, float]:
    meter = Meter(engine, SystemClock(), node="bench", version="1")
    free = Principal(id="user:1", name="a", key_suffix="abcd", user=user)
    limited = replace(free, user=replace(user, limits=Limits(quota_tokens=10**12)))
    return {
        "opening, without a quota": _opening(engine, meter, free),
        "opening, with a quota": _opening(engine, meter, limited),
        "settling (committed at once)": each(
            lambda n: meter.settle(past_entry(ENTRIES + n), None, None)
        ),
    }


def _opening(engine: Engine, meter: Meter, principal: Principal) -> float:
    taken = []
    for number in range(ROUNDS):
        began = perf_counter_ns()
        opened = _open(engine, meter, principal, f"{principal.user}{number}")
        taken.append(perf_counter_ns() - began)
        engine.flush()
        meter.settle(opened.entry, opened, None)
    return median(taken) / 1000


def _open(engine: Engine, meter: Meter, principal: Principal, exchange: str) -> Opened:
    entry = replace(past_entry(0), exchange=exchange)
    price = PriceWanted(upstream="up", host="up.example", model="m", day=20261120)
    known = look_up(engine, Wanted(price=price, ratio="m"))
    ticket = meter.admit(principal)
    opened = meter.open(principal, entry, ticket, known, size=4000, max_tokens=None)
    meter.reserve(opened)
    return opened


def each(work: Callable[[int], object], rounds: int = ROUNDS) -> float:
    """The median of many rounds in microseconds."""
    taken = []
    for number in range(rounds):
        began = perf_counter_ns()
        work(number)
        taken.append(perf_counter_ns() - began)
    return median(taken) / 1000
