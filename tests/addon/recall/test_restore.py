"""What each message carries upstream: what the model thought, nothing else, and the same
again every time.
"""

import json
from itertools import pairwise

import pytest

from addon.formats.neutral.turn import Turn
from addon.recall.restore import Policy
from tests.addon.recall.chat import FIELD, Chat, Json, Memory, call, turn

LONG = (
    "I have read the whole file and changed the three places that were wrong. All the tests pass."
)


def foreign(text: str = "Somebody else said so.") -> Json:
    return {"content": text}


# -- the reasoning itself --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "reasoning", ["", " \n padded \t", "half \ud83e", "思考 🧠 \u2028", '"quoted" \\ \x00']
)
@pytest.mark.parametrize("restarted", [False, True], ids=["", "restarted"])
def test_reasoning_comes_back_exactly(memory: Memory, reasoning: str, restarted: bool) -> None:
    chat = Chat(memory)
    chat.answer(turn(reasoning, "", call()))
    if restarted:
        memory.restart()
    assert chat.carried() == [reasoning]


def test_an_empty_thought_is_a_thought(memory: Memory) -> None:
    chat = Chat(memory, profile="kimi")
    chat.answer(turn("", "", call()))
    chat.answer(turn(None, "", call()))
    assert chat.carried() == ["", None]
    assert chat.rules() == ["known-empty", "known-empty"]


@pytest.mark.parametrize("sent", ["thought", "", "altered", None])
def test_what_the_model_said_wins_over_the_client_s_copy(memory: Memory, sent: str | None) -> None:
    chat = Chat(memory)
    chat.answer(turn(" thought\n", "", call()))[FIELD] = sent
    chat.messages[2]["reasoning"] = "another copy"
    assert chat.carried() == [" thought\n"]
    assert "reasoning" not in chat.send()[2]


@pytest.mark.parametrize(("copy", "sent"), [("its own", None), ("", "")])
@pytest.mark.parametrize("profile", ["glm", "kimi", "field-generic"])
def test_a_turn_that_was_made_without_any_gets_none_of_the_client_s(
    memory: Memory, profile: str, copy: str, sent: str | None
) -> None:
    chat = Chat(memory, profile=profile)
    chat.answer(turn(None, "", call()))[FIELD] = copy
    assert (chat.carried(), chat.rules()) == ([sent], ["known-empty"])


def test_what_the_client_says_of_an_unknown_turn_stays(memory: Memory) -> None:
    chat = Chat(memory)
    chat.say_elsewhere({**foreign(), FIELD: "its own"})
    assert (chat.carried(), chat.rules()) == (["its own"], ["client"])


def test_nothing_is_invented_where_nothing_is_demanded(memory: Memory) -> None:
    chat = Chat(memory, tools=False)
    chat.say_elsewhere(foreign())
    assert chat.carried() == [None]
    assert json.loads(chat.sent)["messages"] == chat.messages


@pytest.mark.parametrize(
    ("profile", "fields"),
    [
        ("field-generic", {"reasoning": "thought"}),
        ("vllm", {"reasoning": "thought", FIELD: "thought"}),
        ("glm", {FIELD: "thought"}),
        ("none", {}),
        ("deepseek-r1", {}),
    ],
)
def test_each_profile_has_its_names(memory: Memory, profile: str, fields: dict[str, str]) -> None:
    chat = Chat(memory, profile=profile)
    chat.answer(turn("thought", "", call(), field="reasoning"))["reasoning_text"] = "a copy"
    sent = chat.send()[2]
    assert {name: text for name, text in sent.items() if name.startswith("reasoning")} == fields


def test_only_the_current_loop_is_sent_where_older_turns_are_ignored(memory: Memory) -> None:
    chat = Chat(memory, profile="deepseek-legacy")
    chat.answer(turn("thought 1", "", call()))
    chat.answer(turn("thought 2", "Done."))[FIELD] = "a copy"
    chat.ask("go on")
    chat.answer(turn("thought 3", "", call()))
    assert chat.carried() == [None, None, "thought 3"]


# -- unknown turns ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("profile", "tools", "carried"),
    [
        ("deepseek-v4", True, ["", ""]),
        ("deepseek-v4", False, [None, None]),
        ("mimo", True, ["", None]),
        ("mimo", False, ["", None]),
        ("kimi", True, [None, None]),
        ("glm", True, [None, None]),
        ("field-generic", True, [None, None]),
    ],
)
def test_unknown_turns_are_filled_where_the_profile_says_so(
    memory: Memory, profile: str, tools: bool, carried: list[str | None]
) -> None:
    chat = Chat(memory, profile=profile, tools=tools)
    function = {"name": "Read", "arguments": "{}"}
    chat.say_elsewhere({"tool_calls": [{"id": "x", "type": "function", "function": function}]})
    chat.say_elsewhere(foreign())
    assert chat.carried() == carried


def test_a_lesson_counts_for_every_turn(memory: Memory) -> None:
    chat = Chat(memory, profile="glm")
    chat.policy = Policy("empty", scope="all")
    chat.say_elsewhere(foreign())
    chat.ask("go on")
    chat.answer(turn(None, "OK"))
    assert chat.carried() == ["", ""]


@pytest.mark.parametrize("repairing", [False, True])
def test_thinking_is_switched_off_for_a_request_with_unknown_turns(
    memory: Memory, repairing: bool
) -> None:
    chat = Chat(memory)
    chat.policy = Policy("off", scope="all", repairing=repairing)
    chat.answer(turn("thought", "OK"))
    chat.ask("go on")
    assert chat.carried() == ["thought"]
    assert chat.restoration is not None
    assert chat.restoration.thinking_off is repairing
    chat.say_elsewhere(foreign())
    assert chat.carried() == ["thought", None]
    assert chat.restoration.thinking_off


def test_a_strict_policy_names_the_first_unknown_turn(memory: Memory) -> None:
    chat = Chat(memory)
    chat.policy = Policy("reject")
    chat.answer(turn("thought", "OK"))
    chat.say_elsewhere(foreign())
    chat.say_elsewhere(foreign())
    chat.send()
    assert chat.restoration is not None
    assert chat.restoration.rejected is not None
    assert (chat.restoration.rejected.at, chat.restoration.rejected.rule) == (3, "missing")
    assert chat.restoration.counts == {"anchor": 1, "missing": 2}


# -- the provider's own ids ------------------------------------------------------------------------


def ids(messages: list[Json]) -> list[list[str]]:
    """Ids of the calls of each turn, and of each result."""
    found = [[made["id"] for made in message.get("tool_calls", [])] for message in messages]
    return [
        made or [messages[at]["tool_call_id"]]
        for at, made in enumerate(found)
        if made or _is_result(messages[at])
    ]


def _is_result(message: Json) -> bool:
    return bool(message["role"] == "tool")


def test_the_provider_gets_its_own_ids_back(memory: Memory) -> None:
    chat = Chat(memory)
    for _ in range(2):
        chat.answer(turn("thought", "", call(call_id="call_0"), call(call_id="functions.Read:1")))
    own = [["call_0", "functions.Read:1"], ["call_0"], ["functions.Read:1"]]
    assert ids(chat.send()) == own * 2


@pytest.mark.parametrize("own", [("same", "same"), ("", "")], ids=["identical", "empty"])
def test_ids_that_tell_no_calls_apart_are_not_given_back(
    memory: Memory, own: tuple[str, str]
) -> None:
    chat = Chat(memory)
    message = chat.answer(turn("thought", "", *(call(call_id=one) for one in own)))
    ours = [made["id"] for made in message["tool_calls"]]
    assert ids(chat.send()) == [ours, ours[:1], ours[1:]]


def test_an_empty_id_beside_a_good_one_stays_ours(memory: Memory) -> None:
    chat = Chat(memory)
    message = chat.answer(turn("thought", "", call(call_id="call_0"), call(call_id="")))
    ours = message["tool_calls"][1]["id"]
    assert ids(chat.send()) == [["call_0", ours], ["call_0"], [ours]]


def test_foreign_ids_pass_untouched(memory: Memory) -> None:
    chat = Chat(memory)
    function = {"name": "Read", "arguments": "{}"}
    chat.say_elsewhere({"tool_calls": [{"id": "call_0", "type": "function", "function": function}]})
    assert ids(chat.send()) == [["call_0"], ["call_0"]]


def test_a_result_whose_turn_is_gone_keeps_its_id(memory: Memory) -> None:
    chat = Chat(memory)
    message = chat.answer(turn("thought", "", call()))
    chat.messages.remove(message)
    assert ids(chat.send()) == [[message["tool_calls"][0]["id"]]]


def test_an_id_that_a_text_quotes_stays_in_the_text(memory: Memory) -> None:
    chat = Chat(memory)
    message = chat.answer(turn("thought", "", call()))
    ours = message["tool_calls"][0]["id"]
    chat.messages[-1]["content"] = f"it was {ours}"
    assert chat.send()[-1] == {
        "role": "tool",
        "tool_call_id": "call_0",
        "content": f"it was {ours}",
    }


# -- the same again --------------------------------------------------------------------------------


def test_the_same_request_is_sent_with_the_same_bytes_ten_times(memory: Memory) -> None:
    chat = Chat(memory)
    chat.answer(turn("thought", "", call()))
    chat.say_elsewhere(foreign())
    chat.ask("go on")
    chat.answer(turn("thought on", "Done."))
    sent = set()
    for _ in range(10):
        chat.send()
        sent.add(chat.sent)
        memory.restart()
    assert len(sent) == 1


@pytest.mark.parametrize("profile", ["deepseek-v4", "kimi"], ids=["filled", "omitted"])
def test_a_turn_that_is_found_later_keeps_what_was_sent(memory: Memory, profile: str) -> None:
    one, twin = Chat(memory, "hi", profile=profile), Chat(memory, "hi", profile=profile)
    one.answer(turn("thought", "Done."))
    twin.answer(turn("of the twin", "Done."))
    unknown = one.carried()
    memory.engine.flush()
    memory.forget(memory.tokens()[1])
    assert one.carried() == unknown
    assert one.restoration is not None
    assert one.restoration.diagnoses[0].why.startswith("found too late")


def test_a_twin_does_not_change_what_a_known_turn_carries(memory: Memory) -> None:
    one, twin = Chat(memory, "hi"), Chat(memory, "hi")
    one.answer(turn("thought", "Done."))
    one.ask("go on")
    one.answer(turn("thought on", LONG))
    twin.answer(turn("of the twin", "Done."))
    assert twin.carried() == [""]
    assert one.carried() == ["thought", "thought on"]


def test_what_was_sent_before_tools_came_changes_when_they_demand_it(memory: Memory) -> None:
    chat = Chat(memory, tools=False)
    chat.say_elsewhere(foreign())
    assert chat.carried() == [None]
    chat.tools = {"tools": [{"type": "function"}]}
    assert chat.carried() == [""]
    chat.tools = {}
    assert chat.carried() == [""]


def test_a_lesson_overrides_what_was_omitted_before(memory: Memory) -> None:
    chat = Chat(memory, profile="kimi")
    chat.say_elsewhere(foreign())
    assert chat.carried() == [None]
    chat.policy = Policy("empty", scope="all")
    assert chat.carried() == [" "]


def test_a_repair_puts_back_what_was_found_too_late_and_it_stays(memory: Memory) -> None:
    one, twin = Chat(memory, "hi"), Chat(memory, "hi")
    one.answer(turn("thought", "Done."))
    twin.answer(turn("of the twin", "Done."))
    assert one.carried() == [""]
    memory.forget(memory.tokens()[1])
    one.policy = Policy("empty", scope="all", repairing=True)
    assert one.carried() == ["thought"]
    one.policy = Policy("empty", scope="all")
    assert one.carried() == ["thought"]
    memory.restart()
    assert one.carried() == ["thought"]


@pytest.mark.parametrize("profile", ["field-generic", "together", "open-models"])
@pytest.mark.parametrize("field", [FIELD, "reasoning"])
def test_what_later_turns_show_of_the_upstream_changes_nothing_before_them(
    memory: Memory, profile: str, field: str
) -> None:
    chat = Chat(memory, profile=profile)
    requests: list[list[Json]] = []
    for at, thought in enumerate((None, "thought", None, "thought on", None)):
        chat.answer(turn(thought, f"Step {at}.", call(), field=field))
        requests.append(chat.send())
    assert all(later[: len(before)] == before for before, later in pairwise(requests))


def test_what_was_sent_as_empty_keeps_its_name(memory: Memory) -> None:
    chat = Chat(memory, profile="field-generic")
    chat.policy = Policy("empty", scope="all")
    chat.say_elsewhere(foreign())
    chat.answer(turn(None, "One.", call()))
    chat.answer(turn("thought", "Two.", call(), field="reasoning"))
    for _ in range(2):
        assert chat.carried()[:2] == ["", ""]
        memory.restart()


def test_what_was_sent_as_empty_has_the_name_that_the_upstream_uses(memory: Memory) -> None:
    chat = Chat(memory, profile="field-generic")
    chat.say_elsewhere(foreign())
    chat.answer(turn(None, "One.", call()))
    chat.answer(turn("thought", "Two.", call(), field="reasoning"))
    usual = chat.policy
    chat.policy = Policy("empty", scope="all", repairing=True)
    assert chat.carried("reasoning") == ["", "", "thought"]
    chat.policy = usual
    chat.messages = chat.messages[:-2]
    memory.restart()
    assert chat.carried("reasoning") == ["", ""]


def test_an_empty_one_stays_when_the_upstream_no_longer_wants_it(memory: Memory) -> None:
    chat = Chat(memory, profile="glm")
    usual = chat.policy
    chat.answer(turn(None, "", call()))
    chat.policy = Policy("empty", scope="all")
    assert chat.carried() == [""]
    chat.policy = usual
    assert chat.carried() == [""]


def test_a_refused_request_binds_nothing(memory: Memory) -> None:
    chat = Chat(memory, profile="kimi")
    chat.say_elsewhere(foreign())
    chat.prepare()
    assert chat.restoration is not None
    assert set(chat.restoration.sent.values()) == {"omit"}
    assert memory.recall.sent(list(chat.restoration.sent)) == {}
    chat.send()
    found = memory.recall.sent(list(chat.restoration.sent))
    assert {key: value for key, (value, _) in found.items()} == chat.restoration.sent


def test_restoring_what_was_restored_changes_nothing(memory: Memory) -> None:
    chat = Chat(memory, profile="glm")
    chat.answer(turn("thought", "OK"))
    chat.messages = chat.send()
    assert chat.messages[2][FIELD] == "thought"
    assert chat.send() == chat.messages


@pytest.mark.parametrize(
    ("ours", "other"),
    [
        (turn("thought", "Done."), {"content": "Or not."}),
        (
            turn("thought", "", call()),
            {"tool_calls": [{"id": "x", "function": {"name": "Glob", "arguments": "{}"}}]},
        ),
    ],
    ids=["text", "call"],
)
def test_what_was_sent_for_something_else_said_there_does_not_bind(
    memory: Memory, ours: Turn, other: Json
) -> None:
    chat = Chat(memory)
    message = chat.answer(ours)
    for made in message.get("tool_calls", []):
        made["id"] = "own"
    kept = [one for one in chat.messages if one["role"] != "tool"]
    chat.messages = kept[:-1]
    chat.say_elsewhere(other)
    assert chat.carried() == [""]
    chat.messages = kept
    assert chat.carried() == ["thought"]


@pytest.mark.parametrize("restarted", [False, True], ids=["", "restarted"])
def test_what_was_sent_for_another_turn_like_it_before_it_was_made_does_not_bind(
    memory: Memory, restarted: bool
) -> None:
    elsewhere, ours = Chat(memory, "hi"), Chat(memory, "hi")
    elsewhere.say_elsewhere(foreign("Hello!"))
    assert elsewhere.carried() == [""]
    memory.clock.pass_days(1)
    ours.answer(turn("thought", "Hello!"))
    if restarted:
        memory.engine.flush()
        memory.restart()
    assert ours.carried() == ["thought"]
