"""What an endpoint has taught is used there from then on; the ladder goes down step by step."""

import asyncio
import json
from contextlib import closing

import pytest
from msgspec.structs import replace

from addon.recall.lessons import Change, Lessons, steps_down
from addon.recall.restore import Policy
from shared.profiles import Step, builtin_profiles
from shared.store import open_engine
from shared.store.lessons import Kind, Lesson, Scope, forget_lesson, read_lessons
from shared.store.versions import change_topic
from tests.addon.recall.chat import Memory, StoppedClock
from tests.support.postgres import empty_database, wipe

PROFILES = builtin_profiles()
ENDPOINT = ("one", "m")


def lessons(memory: Memory) -> Lessons:
    return Lessons(memory.engine, memory.clock)


def lesson(kind: Kind = "empty", profile: str = "glm", scope: Scope = "calls") -> Lesson:
    return Lesson(upstream="one", model="m", kind=kind, profile=profile, scope=scope, learned_at=1)


@pytest.mark.parametrize(
    ("profile", "step"),
    [
        ("deepseek-v4", "empty"),
        ("mimo", "empty"),
        ("kimi", "omit"),
        ("glm", "omit"),
        ("none", "omit"),
    ],
)
def test_without_a_lesson_the_ladder_s_first_step_is_taken(
    memory: Memory, profile: str, step: Step
) -> None:
    assert lessons(memory).policy(ENDPOINT, PROFILES[profile]) == Policy(step)


def test_a_lesson_is_of_its_endpoint_and_survives_a_restart(memory: Memory) -> None:
    lessons(memory).change(Change(None, lesson()))
    memory.engine.flush()
    memory.restart()
    learnt = lessons(memory)
    assert learnt.policy(ENDPOINT, PROFILES["glm"]) == Policy("empty", "calls")
    assert learnt.policy(("one", "other"), PROFILES["glm"]) == Policy("omit")


@pytest.mark.parametrize(
    ("kind", "policy"),
    [
        ("bare", Policy("omit", bare="always")),
        ("pictures", Policy("omit", pictures=False)),
        ("alternate", Policy("omit", allows_consecutive_user_messages=False)),
        ("keep", Policy("omit", keep=False)),
    ],
)
def test_every_kind_of_lesson_counts(memory: Memory, kind: Kind, policy: Policy) -> None:
    learnt = lessons(memory)
    learnt.change(Change(None, lesson(kind)))
    assert learnt.policy(ENDPOINT, PROFILES["glm"]) == policy


def test_a_lesson_counts_at_once_and_others_stay(memory: Memory) -> None:
    learnt = lessons(memory)
    for one in (lesson("pictures"), lesson(), lesson(scope="all")):
        learnt.change(Change(None, one))
    policy = Policy("empty", "all", pictures=False)
    assert learnt.policy(ENDPOINT, PROFILES["glm"]) == policy


def test_a_lesson_counts_while_the_database_is_locked_and_is_written_after(memory: Memory) -> None:
    learnt = lessons(memory)
    with memory.locked():
        learnt.change(Change(None, lesson()))
        learnt.refresh()
        assert learnt.policy(ENDPOINT, PROFILES["glm"]) == Policy("empty", "calls")
        assert read_lessons(memory.engine) == []
    learnt.refresh()
    assert read_lessons(memory.engine) == [lesson()]


def test_a_lesson_that_another_program_forgets_no_longer_counts(memory: Memory) -> None:
    learnt = lessons(memory)
    learnt.change(Change(None, lesson()))
    forget = forget_lesson(lesson().key)
    change_topic(memory.engine, "learned", lambda work: work.run(*forget))
    learnt.refresh()
    assert learnt.policy(ENDPOINT, PROFILES["glm"]) == Policy("omit")


def test_fault_12_what_one_process_learns_holds_in_the_other_after_a_tick(memory: Memory) -> None:
    other = Memory(memory.path, memory.clock)
    with closing(other.engine):
        here, there = lessons(memory), lessons(other)
        here.change(Change(None, lesson()))
        there.refresh()
        assert there.policy(ENDPOINT, PROFILES["glm"]) == Policy("empty", "calls")
        there.change(Change(lesson(), replace(lesson(scope="all"), learned_at=2)))
        here.refresh()
        assert here.policy(ENDPOINT, PROFILES["glm"]) == Policy("empty", "all")


def test_fault_12_a_lesson_that_was_held_up_does_not_replace_a_later_one(memory: Memory) -> None:
    other, later = Memory(memory.path, memory.clock), replace(lesson(scope="all"), learned_at=2)
    with closing(other.engine):
        here, there = lessons(memory), lessons(other)
        with memory.locked():
            here.change(Change(None, lesson()))
        there.change(Change(None, later))
        for one in (here, there, here):
            one.refresh()
            assert one.policy(ENDPOINT, PROFILES["glm"]) == Policy("empty", "all")
        assert read_lessons(memory.engine) == [later]


def test_what_was_forgotten_meanwhile_is_not_confirmed(memory: Memory) -> None:
    learnt = lessons(memory)
    learnt.change(Change(lesson(), lesson()))
    assert learnt.policy(ENDPOINT, PROFILES["glm"]) == Policy("omit")
    assert read_lessons(memory.engine) == []


def test_a_lesson_under_another_profile_is_ignored(memory: Memory) -> None:
    learnt = lessons(memory)
    learnt.change(Change(None, lesson(profile="kimi")))
    assert learnt.policy(ENDPOINT, PROFILES["glm"]) == Policy("omit")


# -- rows of earlier versions ----------------------------------------------------------------------


def keep_row(memory: Memory, value: str) -> None:
    sql = "INSERT INTO learned (endpoint, value, learned_at) VALUES ('one m', :value, 7)"
    memory.engine.transact(lambda work: work.run(sql, {"value": value}), alone=())


@pytest.mark.parametrize(
    ("policy", "learnt"),
    [
        ({"step": "empty", "everywhere": True}, [("empty", "all")]),
        ({"step": "empty", "everywhere": False}, []),
        ({"step": "off", "everywhere": True}, []),
        ({"step": "trim", "everywhere": True}, []),
        ({"step": "omit", "bare": "always", "keep": False}, [("bare", ""), ("keep", "")]),
        (
            {"step": "off", "pictures": False, "allows_consecutive_user_messages": False},
            [("alternate", ""), ("pictures", "")],
        ),
    ],
)
def test_rows_of_earlier_versions_become_lessons_but_for_what_is_one_conversation_s(
    memory: Memory, policy: dict[str, object], learnt: list[tuple[Kind, Scope]]
) -> None:
    keep_row(memory, json.dumps({"profile": "glm", "policy": policy}))
    for _ in range(2):
        lessons(memory)
        found = read_lessons(memory.engine)
        assert [(one.kind, one.scope) for one in found] == learnt
        assert {(one.upstream, one.model, one.learned_at) for one in found} <= {("one", "m", 7)}
    [(rows,)] = memory.engine.read("SELECT count(*) FROM learned")
    assert rows == len(learnt)


@pytest.mark.parametrize("value", ["not json", '{"kind": "later"}', "[]"])
def test_a_row_of_another_version_is_left_alone(memory: Memory, value: str) -> None:
    keep_row(memory, value)
    assert lessons(memory).policy(ENDPOINT, PROFILES["glm"]) == Policy("omit")
    assert memory.engine.read("SELECT value FROM learned") == [(value,)]


# -- the ladder ------------------------------------------------------------------------------------


def steps(profile: str, refused: Policy) -> list[str]:
    """The steps down, each with its scope."""
    found = steps_down(PROFILES[profile], refused)
    assert all(policy.repairing for policy in found)
    return [f"{policy.step} {policy.scope}".strip() for policy in found]


ALL_EMPTY = ["empty calls", "empty foreign", "empty all"]
OFF = ["off foreign", "off all"]
TRIMS = ["trim", "trim calls", "trim foreign", "trim all"]


@pytest.mark.parametrize(
    ("profile", "refused", "expected"),
    [
        ("deepseek-v4", Policy("empty"), ["empty", *ALL_EMPTY, *OFF]),
        ("deepseek-v4", Policy("empty", repairing=True), [*ALL_EMPTY, *OFF]),
        ("deepseek-v4", Policy("empty", "all", repairing=True), OFF),
        ("deepseek-v4", Policy("off", "all", repairing=True), []),
        ("deepseek-legacy", Policy("omit"), ["empty", *ALL_EMPTY, *OFF]),
        ("deepseek-r1", Policy("omit"), []),
        ("mimo", Policy("empty"), ["empty", *ALL_EMPTY, *OFF]),
        ("kimi", Policy("omit"), [*OFF, "empty", *ALL_EMPTY]),
        ("kimi", Policy("off", "all", repairing=True), ["empty", *ALL_EMPTY]),
        ("kimi-thinking", Policy("empty", "all", repairing=True), TRIMS),
        ("glm", Policy("omit"), [*ALL_EMPTY, *OFF]),
        ("glm", Policy("empty", "calls"), [*ALL_EMPTY, *OFF]),
        ("glm", Policy("empty", "calls", repairing=True), [*ALL_EMPTY[1:], *OFF]),
        ("vllm", Policy("omit"), ALL_EMPTY),
        ("field-generic", Policy("omit"), ALL_EMPTY),
        ("none", Policy("omit"), []),
    ],
)
def test_the_ladder_goes_down_from_what_was_refused_with_as_few_turns_as_may_do(
    profile: str, refused: Policy, expected: list[str]
) -> None:
    assert steps(profile, refused) == expected


def test_a_step_that_the_ladder_no_longer_has_starts_it_anew() -> None:
    assert steps("glm", Policy("reject")) == [*ALL_EMPTY, *OFF]


async def test_across_a_network_a_lesson_is_written_beside_the_loop() -> None:
    wipe(empty_database())
    with closing(open_engine(empty_database())) as engine:
        known = Lessons(engine, StoppedClock())
        known.change(Change(None, lesson()))
        await asyncio.to_thread(engine.flush)
        assert await engine.fetch("SELECT endpoint FROM learned") == [(lesson().key,)]
        known.refresh()
        assert known.policy(ENDPOINT, PROFILES["glm"]).step == "empty"
