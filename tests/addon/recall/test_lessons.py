"""What an endpoint has taught is used there from then on; the ladder goes down step by step."""

import pytest

from addon.recall.lessons import Lessons, steps_down
from addon.recall.restore import Policy
from shared.profiles import Step, builtin_profiles
from shared.store.recall import keep_learned
from tests.addon.recall.chat import Memory

PROFILES = builtin_profiles()


def lessons(memory: Memory) -> Lessons:
    return Lessons(memory.engine, memory.clock)


def everywhere(*steps: Step) -> list[Policy]:
    return [Policy(step, everywhere=True, repairing=True) for step in steps]


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
    assert lessons(memory).policy("one m", PROFILES[profile]) == Policy(step)


def test_a_lesson_is_of_its_endpoint_and_survives_a_restart(memory: Memory) -> None:
    lessons(memory).learn("one m", PROFILES["kimi"], Policy("off", everywhere=True, repairing=True))
    memory.engine.flush()
    memory.restart()
    learnt = lessons(memory)
    assert learnt.policy("one m", PROFILES["kimi"]) == Policy("off", everywhere=True)
    assert learnt.policy("one other", PROFILES["kimi"]) == Policy("omit")


def test_a_lesson_counts_at_once(memory: Memory) -> None:
    learnt = lessons(memory)
    learnt.learn("one m", PROFILES["glm"], Policy("empty", everywhere=True))
    learnt.learn("one m", PROFILES["glm"], Policy("off", everywhere=True))
    assert learnt.policy("one m", PROFILES["glm"]) == Policy("off", everywhere=True)


def test_a_lesson_under_another_profile_is_ignored(memory: Memory) -> None:
    learnt = lessons(memory)
    learnt.learn("one m", PROFILES["kimi"], Policy("off", everywhere=True))
    assert learnt.policy("one m", PROFILES["mimo"]) == Policy("empty")


def test_a_lesson_that_this_version_does_not_understand_is_ignored(memory: Memory) -> None:
    later = '{"profile": "kimi", "policy": {"step": "pray", "everywhere": true}}'
    memory.engine.write_later(
        [keep_learned("one m", later, 1), keep_learned("one n", "not json", 1)]
    )
    memory.engine.flush()
    assert lessons(memory).policy("one m", PROFILES["kimi"]) == Policy("omit")


@pytest.mark.parametrize(
    ("profile", "refused", "steps"),
    [
        ("deepseek-v4", Policy("empty"), everywhere("empty", "off")),
        ("deepseek-v4", Policy("empty", everywhere=True), everywhere("off")),
        ("deepseek-v4", Policy("off", everywhere=True), []),
        ("deepseek-legacy", Policy("omit"), everywhere("empty", "off")),
        ("deepseek-r1", Policy("omit"), []),
        ("mimo", Policy("empty"), everywhere("empty", "off")),
        ("kimi", Policy("omit"), everywhere("off", "empty")),
        ("kimi", Policy("off", everywhere=True), everywhere("empty")),
        ("glm", Policy("omit"), everywhere("empty", "off")),
        ("qwen", Policy("empty", everywhere=True), everywhere("off")),
        ("vllm", Policy("omit"), everywhere("empty")),
        ("field-generic", Policy("omit"), everywhere("empty")),
        ("none", Policy("omit"), []),
    ],
)
def test_the_ladder_goes_down_from_what_was_refused(
    profile: str, refused: Policy, steps: list[Policy]
) -> None:
    assert steps_down(PROFILES[profile], refused) == steps


def test_a_step_that_the_ladder_no_longer_has_starts_it_anew() -> None:
    assert steps_down(PROFILES["glm"], Policy("reject")) == everywhere("empty", "off")
