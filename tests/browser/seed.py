"""A gateway that was used for three months: users, keys and requests as they might have been."""

import time
import zlib
from random import Random

import msgspec

from shared.store.audit import AuditRecord, add_record
from shared.store.engine import Engine, Transaction, apply_change
from shared.store.ledger import Entry, settle
from shared.store.lessons import Lesson, keep_lesson
from tests.support.admin import Admin

__all__ = ("PASSWORD", "TALK", "seed")

PASSWORD = "a password long enough"
DAYS = 90
RECORDED_DAYS = 3
DAY_MS = 86_400_000
USERS = {
    "lin": 60_000_000,
    "ada": None,
    "grace": 20_000_000,
    "王小明": 5_000_000,
    "Jürgen Großmann": 0,
}
"""By name: tokens a month."""

MODELS = (
    ("deepseek-v4-pro", "deepseek", "deepseek-v4-pro", 6),
    ("gpt-5.3-codex", "deepseek", "deepseek-v4-pro", 2),
    ("deepseek-v4-flash", "deepseek", "deepseek-v4-flash", 2),
    ("kimi-k2.6", "kimi", "kimi-k2.6", 1),
)
FAULTS = (
    (0, "client_left"),
    (429, "insufficient_quota"),
    (502, "upstream_unreachable"),
    (429, "upstream_429"),
    (200, "upstream_cut"),
)
WHY = ("no remembered turn has this text here", "the tool-call ids are not the gateway's")
QUESTIONS = (
    "Refactor the parser so that errors carry line numbers, and add a test for each of them",
    "Why does test_a_cut_upstream fail on Python 3.14?",
    "请把登录页面翻译成中文，并检查按钮的对比度",
    "Schreib einen Lasttest für die Warteschlange, der ohne Netz läuft",
    "Rename Session to Conversation everywhere, then run the tests",
)
CONVERSATION = {
    "messages": [
        {"role": "system", "text": "You are a coding agent."},
        {"role": "user", "text": QUESTIONS[1]},
        {
            "role": "assistant",
            "calls": [{"name": "run_tests", "arguments": '{"pattern": "test_a_cut_upstream"}'}],
            "reasoning": "The name says that a stream ends early. I should see how it fails first.",
            "restored": "id",
        },
        {"role": "tool", "text": "1 failed: RuntimeError: cannot reuse already awaited coroutine"},
    ],
    "answer": {
        "text": (
            "The test awaits one coroutine twice, which 3.14 refuses. I made a new one "
            "for the second call."
        ),
        "reasoning": "A coroutine can be awaited once.",
    },
}
TALK = "5eed5eed5eed5eed5eed5eed"
"""A conversation in which the cache was missed twice."""

TALK_STEPS = (
    (9_120, 0, "good", "empty", ("200",)),
    (10_400, 8_960, "good", "empty", ("200",)),
    (13_150, 10_240, "good", "empty", ("200",)),
    (17_820, 12_800, "good", "empty", ("200",)),
    (21_310, 2_048, "pare", "empty", ("429", "200")),
    (24_900, 21_248, "pare", "empty", ("200",)),
    (29_480, 24_832, "pare", "empty", ("200",)),
    (33_000, 1_024, "pare", "off", ("400", "200")),
    (36_870, 32_896, "pare", "off", ("200",)),
)
"""Prompt tokens, cached ones, the key's end, what was done for turns that are not found,
outcomes.
"""

OFF = (
    "thinking was switched off: the reasoning of message 2 is not known, and the upstream wants it"
)
LESSONS = (
    Lesson(
        upstream="kimi",
        model="kimi-k2.6",
        kind="empty",
        profile="kimi",
        words="thinking is enabled but reasoning_content is missing in assistant tool call message",
    ),
    Lesson(
        upstream="deepseek",
        model="deepseek-v4-flash",
        kind="pictures",
        profile="deepseek-v4",
        words="unknown variant `image_url`, expected `text`",
    ),
)
AGENTS = ("Cursor/1.0", "openai/python 2.8.1", "codex_cli_rs/0.60")


def seed(store: Engine, admin: Admin) -> None:
    """Fill the database of a running gateway."""
    random = Random(7)
    people = [
        admin.add_user(name, PASSWORD, quota_tokens=quota, period="month")
        for name, quota in USERS.items()
    ]
    keys = {
        person["id"]: (key["id"], key["key"]) for person in people for key in _keys(admin, person)
    }
    now = time.time_ns() // 1_000_000
    for ago in reversed(range(DAYS)):
        entries = [
            _entry(random, now - ago * DAY_MS, person, keys[person["id"]])
            for person in people[:4]
            for _ in range(_busy(random, ago))
        ]
        entries.sort(key=lambda entry: entry.at)
        store.transact(lambda work, entries=entries: _write(work, entries), alone=())
        if ago < RECORDED_DAYS:
            records = [add_record(_record(random, entry)) for entry in entries]
            store.transact(
                lambda work, records=records: [work.run(*record) for record in records], alone=()
            )
    lin = people[0]
    talk = [
        _step(_entry(random, now, lin, keys[lin["id"]]), number, now)
        for number in range(len(TALK_STEPS))
    ]
    store.transact(lambda work: _write(work, talk), alone=())
    lessons = [msgspec.structs.replace(lesson, learned_at=now - DAY_MS // 2) for lesson in LESSONS]
    store.transact(lambda work: [work.run(*keep_lesson(lesson)) for lesson in lessons], alone=())


def _step(entry: Entry, number: int, now: int) -> Entry:
    """One request of the conversation `TALK`."""
    prompt, cached, key, step, outcomes = TALK_STEPS[number]
    missing = int(step == "off")
    turns = [{"turn": at + 1, "at": 2 * at + 2, "rule": "id"} for at in range(number)]
    notes = []
    if missing:
        turns[0] = {"turn": 1, "at": 2, "rule": "missing", "why": WHY[0]}
        notes = [OFF]
    tries = [
        {"upstream": "deepseek", "key": f"…{key}", "model": MODELS[0][2], "outcome": each}
        for each in outcomes
    ]
    told = {"tries": tries, "turns": turns, "notes": notes, "policy": f"deepseek-v4: {step}"}
    return msgspec.structs.replace(
        entry,
        at=now - (len(TALK_STEPS) - number) * 90_000,
        conversation=TALK,
        model=MODELS[0][0],
        upstream=MODELS[0][1],
        upstream_model=MODELS[0][2],
        upstream_key=key,
        status=200,
        error_class="",
        prompt_tokens=prompt,
        cached_tokens=cached,
        restored=number - missing,
        missing=missing,
        user_agent="Cursor/1.0",
        details=msgspec.json.encode(told).decode(),
    )


def _keys(admin: Admin, person: dict) -> list[dict]:
    path = f"/api/admin/users/{person['id']}/keys"
    admin.send(
        "POST", path, {"name": "laptop", "rpm": 60, "quota_tokens": 50_000_000, "period": "month"}
    )
    ended = admin.send("POST", path, {"name": "old build server"})
    admin.send("DELETE", f"/api/admin/keys/{ended['id']}")
    return admin.send("GET", path)["items"][:1]


def _busy(random: Random, ago: int) -> int:
    weekend = ago % 7 in (1, 2)
    return random.randint(0, 2) if weekend else random.randint(3, 9)


def _write(work: Transaction, entries: list[Entry]) -> None:
    for entry in entries:
        apply_change(work, settle(entry))


def _entry(random: Random, day: int, person: dict, key: tuple[int, str]) -> Entry:
    model, upstream, upstream_model, _ = random.choices(MODELS, [each[-1] for each in MODELS])[0]
    status, error_class = random.choice(FAULTS) if random.random() < 0.06 else (200, "")
    prompt = int(random.lognormvariate(10.3, 0.8))
    answer = int(random.lognormvariate(6.8, 0.7))
    turns = random.randint(0, 12)
    missing = int(turns > 8 and random.random() < 0.1)
    notes = [
        {
            "turn": at + 1,
            "at": 2 * at + 2,
            "rule": random.choice(("id", "id", "id", "anchor")),
            "why": "",
        }
        for at in range(turns)
    ]
    if missing:
        notes[0] = {"turn": 1, "at": 2, "rule": "missing", "why": random.choice(WHY)}
    tries = [
        {
            "upstream": upstream,
            "key": "…good",
            "model": upstream_model,
            "outcome": str(status or "200"),
        }
    ]
    return Entry(
        exchange=f"{random.getrandbits(128):032x}",
        at=day - random.randint(0, 10 * 3_600_000),
        user_id=person["id"],
        username=person["username"],
        key_id=key[0],
        key_suffix=key[1][-4:],
        model=model,
        upstream=upstream,
        upstream_key="good",
        upstream_model=upstream_model,
        streamed=True,
        status=status,
        error_class=error_class,
        attempts=1,
        prompt_tokens=prompt,
        completion_tokens=answer,
        reasoning_tokens=answer // 2,
        cached_tokens=int(prompt * random.uniform(0.3, 0.9)),
        cost_micros=int(prompt * 0.28 + answer * 1.1),
        first_byte_ms=random.randint(300, 2_500),
        duration_ms=random.randint(3_000, 60_000),
        restored=turns - missing,
        missing=missing,
        client="203.0.113.7",
        user_agent=random.choice(AGENTS),
        conversation=f"{person['id']:x}d{day // DAY_MS:x}",
        details=msgspec.json.encode({"tries": tries, "turns": notes}).decode(),
    )


def _record(random: Random, entry: Entry) -> AuditRecord:
    question = random.choice(QUESTIONS)
    whole = zlib.compress(msgspec.json.encode(CONVERSATION)) if question == QUESTIONS[1] else None
    return AuditRecord(
        exchange=entry.exchange,
        at=entry.at,
        user_id=entry.user_id or 0,
        username=entry.username,
        model=entry.model,
        upstream=entry.upstream,
        status=entry.status,
        text=question,
        conversation=whole,
    )
