"""All the ways in which clients lose or change what a turn is found by, one number each.

Not here: 4, since nothing is mirrored into contents yet; 13, since Responses and Messages
bodies are not served yet; 29 (keys, upstream and effort change) and 32 (whole and streamed
answers), which tests/addon/exchange/test_exchange.py has.
"""

import json
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from tests.addon.recall.chat import Chat, Json, Memory, call, turn

LONG = (
    "I have read the whole file and changed the three places that were wrong. All the tests pass."
)
SHELL = call("Shell", '{"command": "ls", "timeout": 10.0, "note": "caf\\u00e9"}', "call_1")


@pytest.fixture
def chat(memory: Memory) -> Chat:
    """Two calls, then a text, then the user's next words."""
    chat = Chat(memory)
    chat.answer(turn("thought 1", "", call(), SHELL))
    chat.answer(turn("thought 2", "All is done."))
    chat.ask("go on")
    return chat


def assistants(chat: Chat) -> list[Json]:
    return [message for message in chat.messages if message["role"] == "assistant"]


@pytest.mark.parametrize(
    "content",
    [None, "", [], [{"type": "text", "text": ""}], ..., "\n"],
    ids=["null", "empty string", "empty list", "empty part", "absent", "line end"],
)
def test_1_no_content_in_any_shape(chat: Chat, content: Any) -> None:
    tools = assistants(chat)[0]
    tools["content"] = content
    if content is ...:
        del tools["content"]
    assert chat.carried() == ["thought 1", "thought 2"]


@pytest.mark.parametrize("cuts", [(), (3,), (3, 4, 8)], ids=["one part", "two parts", "four parts"])
def test_2_content_in_parts(chat: Chat, cuts: tuple[int, ...]) -> None:
    text = assistants(chat)[1]["content"]
    edges = [0, *cuts, len(text)]
    parts = [{"type": "text", "text": text[a:b]} for a, b in pairwise(edges)]
    assistants(chat)[1]["content"] = parts
    assert chat.carried() == ["thought 1", "thought 2"]


@pytest.mark.parametrize("text", ["\nAll is done.", "All is done.  ", "\r\n\tAll is done.\n\n"])
def test_3_blanks_around_a_text(chat: Chat, text: str) -> None:
    assistants(chat)[1]["content"] = text
    assert chat.carried() == ["thought 1", "thought 2"]


@pytest.mark.parametrize(
    "text",
    ["né\r\nhalf \ud83e", "ne\u0301\nhalf \ud83e", "né\nhalf \ufffd"],
    ids=["CRLF", "decomposed", "surrogate replaced"],
)
def test_5_line_ends_and_unicode_forms(memory: Memory, text: str) -> None:
    chat = Chat(memory)
    chat.answer(turn("thought", "né\nhalf \ud83e"))
    chat.messages[-1]["content"] = text
    assert chat.carried() == ["thought"]


def test_6_a_notice_put_before_a_text_between_known_turns(chat: Chat) -> None:
    chat.answer(turn("thought 3", "", call()))
    assistants(chat)[1]["content"] = "Notice. All is done."
    assert chat.carried() == ["thought 1", "thought 2", "thought 3"]
    assert chat.rules() == ["id", "chain", "id"]


def test_6_a_notice_put_before_the_last_text_is_no_reason_to_guess(chat: Chat) -> None:
    assistants(chat)[1]["content"] = "Notice. All is done."
    assert chat.carried() == ["thought 1", ""]


SPELLINGS: dict[str, Callable[[Any], str]] = {
    "compact": lambda given: json.dumps(given, separators=(",", ":")),
    "indented": lambda given: json.dumps(given, indent=2),
    "sorted": lambda given: json.dumps(given, sort_keys=True),
    "unescaped": lambda given: json.dumps(given, ensure_ascii=False),
    "whole numbers": lambda given: json.dumps(given).replace("10.0", "10"),
}


@pytest.mark.parametrize("spell", SPELLINGS.values(), ids=SPELLINGS)
@pytest.mark.parametrize("keep_ids", [True, False], ids=["with ids", "without ids"])
def test_7_arguments_spelled_anew(
    memory: Memory, spell: Callable[[Any], str], keep_ids: bool
) -> None:
    chat = Chat(memory)
    message = chat.answer(turn("thought", "", SHELL))
    function = message["tool_calls"][0]["function"]
    function["arguments"] = spell(json.loads(function["arguments"]))
    if not keep_ids:
        message["tool_calls"][0]["id"] = chat.messages[-1]["tool_call_id"] = "x"
    assert chat.carried() == ["thought"]


def test_7_arguments_dropped_by_the_client(chat: Chat) -> None:
    assistants(chat)[0]["tool_calls"][1]["function"]["arguments"] = '{"command": "ls"}'
    assert chat.carried() == ["thought 1", "thought 2"]


@pytest.mark.parametrize(("arguments", "call_id"), [('{"path": "a"}', None), ('{"path": "a', "x")])
def test_8_arguments_that_a_stop_left_unfinished(
    memory: Memory, arguments: str, call_id: str | None
) -> None:
    chat = Chat(memory)
    message = chat.answer(turn("thought", "", call(arguments='{"path": "a')), complete=False)
    made = message["tool_calls"][0]
    made["function"]["arguments"], made["id"] = arguments, call_id or made["id"]
    assert chat.carried() == ["thought"]


def test_9_arguments_that_are_no_json(memory: Memory) -> None:
    chat = Chat(memory)
    message = chat.answer(
        turn("thought", "", call("ApplyPatch", "*** Begin Patch\n+ a\n*** End Patch\n"))
    )
    message["tool_calls"][0]["id"] = "replaced"
    message["tool_calls"][0]["function"]["arguments"] = "*** Begin Patch\r\n+ a\r\n*** End Patch"
    assert chat.carried() == ["thought"]


@pytest.mark.parametrize(
    "call_id", ["", "call_cursor_0", None], ids=["empty", "replaced", "absent"]
)
def test_10_ids_that_a_stopped_stream_never_gave(chat: Chat, call_id: str | None) -> None:
    message = chat.answer(turn("stopped", "", call()), complete=False)
    message["tool_calls"][0]["id"] = chat.messages[-1]["tool_call_id"] = call_id
    assert chat.carried() == ["thought 1", "thought 2", "stopped"]


@pytest.mark.parametrize("kept", [[0], [1], [1, 0]], ids=["first", "second", "turned round"])
def test_11_calls_of_a_set_dropped_or_in_another_order(chat: Chat, kept: list[int]) -> None:
    tools = assistants(chat)[0]
    tools["tool_calls"] = [tools["tool_calls"][at] for at in kept]
    ids = [made["id"] for made in tools["tool_calls"]]
    chat.messages = [
        one for one in chat.messages if one["role"] != "tool" or one["tool_call_id"] in ids
    ]
    assert chat.carried() == ["thought 1", "thought 2"]
    own = [
        made["id"] for made in next(one for one in chat.send() if "tool_calls" in one)["tool_calls"]
    ]
    assert own == [f"call_{at}" for at in kept]


@pytest.mark.parametrize("call_id", ["call_0", "functions.Read:0", ""])
def test_12_provider_ids_that_come_again_in_other_conversations(
    memory: Memory, call_id: str
) -> None:
    chats = [Chat(memory) for _ in range(3)]
    for step in range(2):
        for number, chat in enumerate(chats):
            chat.answer(turn(f"thought {number}.{step}", "", call(call_id=call_id)))
    assert [chat.carried() for chat in chats] == [
        [f"thought {n}.0", f"thought {n}.1"] for n in range(3)
    ]


def test_14_results_go_to_the_provider_s_own_ids_and_other_fields_stay(chat: Chat) -> None:
    results = [message for message in chat.messages if message["role"] == "tool"]
    results[1]["call_id"] = results[1]["tool_call_id"]
    sent = [message for message in chat.send() if message["role"] == "tool"]
    assert [message["tool_call_id"] for message in sent] == ["call_0", "call_1"]


def test_15_another_system_prompt(chat: Chat) -> None:
    chat.messages[0]["content"] = "You are a planner now. Today is another day."
    assert chat.carried() == ["thought 1", "thought 2"]


def test_16_another_first_frame(memory: Memory) -> None:
    chat = Chat(memory, "<open_files>a.py</open_files><user_query>hi</user_query>")
    chat.messages.insert(1, {"role": "user", "content": "<git>clean</git>"})
    chat.answer(turn("thought", "Hello."))
    chat.messages[1]["content"] = "<git>dirty</git>"
    chat.messages[2]["content"] = [
        {"type": "text", "text": "<user_query>\nhi\n</user_query> at noon"}
    ]
    assert chat.carried() == ["thought"]


@pytest.mark.parametrize("cut", [3, 4, 5])
def test_17_a_summary_in_place_of_the_beginning(memory: Memory, cut: int) -> None:
    chat = Chat(memory)
    for number in range(4):
        chat.answer(
            turn(f"thought {number}", "", call()) if number % 2 else turn(f"thought {number}", "OK")
        )
        if not number % 2:
            chat.ask("go on")
    before = chat.carried()
    chat.messages = [
        {"role": "user", "content": "<summary>Much was done.</summary>"},
        *chat.messages[cut:],
    ]
    assert chat.carried() == before[-len(chat.carried()) :]


def test_18_an_edited_turn_and_a_checkpoint_further_back(chat: Chat) -> None:
    kept = list(chat.messages)
    chat.answer(turn("first try", "OK"))
    chat.messages = [*kept[:-1], {"role": "user", "content": "something else"}]
    chat.answer(turn("second try", "OK"))
    assert chat.carried() == ["thought 1", "thought 2", "second try"]
    chat.messages = kept[:5]
    assert chat.carried() == ["thought 1"]
    chat.answer(turn("another end", "All is done."))
    assert chat.carried() == ["thought 1", ""]


def test_19_forks_keep_what_is_common_and_add_their_own(chat: Chat) -> None:
    forks = [Chat(chat.memory) for _ in range(3)]
    for number, fork in enumerate(forks):
        fork.messages = list(chat.messages)
        fork.answer(turn(f"fork {number}", "", call()))
    assert [fork.carried()[:2] for fork in forks] == [["thought 1", "thought 2"]] * 3
    assert [fork.carried()[2] for fork in forks] == ["fork 0", "fork 1", "fork 2"]


def test_20_subagents_beside_each_other(memory: Memory) -> None:
    agents = [
        Chat(memory, f"<user_query>Look at part {number}</user_query>") for number in range(3)
    ]
    for number, agent in enumerate(agents):
        agent.answer(turn(f"thought {number}", "Nothing found."))
    assert [agent.carried() for agent in agents] == [["thought 0"], ["thought 1"], ["thought 2"]]


def test_21_new_chats_with_the_same_first_words(memory: Memory) -> None:
    one, other = Chat(memory, "hi"), Chat(memory, "hi")
    one.answer(turn("thought 1", "", call()))
    other.answer(turn("thought 2", "", call()))
    for chat in (one, other):
        chat.answer(turn(f"{chat.carried()[0]} on", "Done."))
    assert [one.carried(), other.carried()] == [
        ["thought 1", "thought 1 on"],
        ["thought 2", "thought 2 on"],
    ]


def test_21_twins_that_nothing_tells_apart_get_nothing(memory: Memory) -> None:
    one, other = Chat(memory, "hi"), Chat(memory, "hi")
    one.answer(turn("thought 1", "Hello."))
    other.answer(turn("thought 2", "Hello."))
    assert [one.carried(), other.carried()] == [[""], [""]]
    assert one.restoration is not None
    assert one.restoration.diagnoses[0].why == "2 remembered turns fit, with different reasoning"


def test_22_turns_of_another_model_in_between(chat: Chat) -> None:
    made = {
        "id": "toolu_1",
        "type": "function",
        "function": {"name": "Read", "arguments": '{"path": "README.md"}'},
    }
    chat.say_elsewhere({"content": "", "tool_calls": [made]})
    chat.say_elsewhere({"content": "All is done."})
    chat.ask("go on")
    chat.answer(turn("thought 3", "OK"))
    assert chat.carried() == ["thought 1", "thought 2", "", "", "thought 3"]


def test_23_a_chat_from_before_the_gateway(memory: Memory) -> None:
    chat = Chat(memory)
    for text in ("OK", LONG, ""):
        chat.say_elsewhere({"content": text})
        chat.ask("go on")
    assert chat.carried() == ["", "", ""]
    assert set(chat.rules()) == {"missing"}


def test_24_turns_joined_into_one_message_get_nothing(memory: Memory) -> None:
    chat = Chat(memory)
    for number in range(2):
        chat.answer(turn(f"thought {number}", "", call("Read", f'{{"n": {number}}}')))
    first, second = assistants(chat)
    first["tool_calls"] += second["tool_calls"]
    chat.messages.remove(second)
    assert chat.carried() == [""]
    assert chat.restoration is not None
    assert "several turns" in chat.restoration.diagnoses[0].why


def test_24_texts_joined_into_one_message_get_nothing(memory: Memory) -> None:
    chat = Chat(memory)
    for number in range(2):
        chat.answer(turn(f"thought {number}", f"{LONG} {number}"))
    first, second = assistants(chat)
    first["content"] += second["content"]
    chat.messages.remove(second)
    assert chat.carried() == [""]


def test_24_a_turn_split_into_its_text_and_its_calls(memory: Memory) -> None:
    chat = Chat(memory)
    message = chat.answer(turn("thought", "I look.", call(), SHELL))
    parts = [{"role": "assistant", "content": "I look."}]
    parts += [
        {"role": "assistant", "content": None, "tool_calls": [made]}
        for made in message["tool_calls"]
    ]
    chat.messages[2:] = [*parts, *chat.messages[3:]]
    assert chat.carried() == ["thought"] * 3
    chat.messages[2:5] = [*parts[1:], parts[0]]
    assert chat.carried() == ["thought"] * 3


def test_24_parallel_calls_each_with_its_result(memory: Memory) -> None:
    chat = Chat(memory)
    first, second = chat.answer(turn("thought", "", call(), SHELL))["tool_calls"]
    results = chat.messages[3:]
    chat.messages[2:] = [{"role": "assistant", "tool_calls": [first]}, results[0]]
    chat.messages += [{"role": "assistant", "tool_calls": [second]}, results[1]]
    assert chat.carried() == ["thought"] * 2


def test_25_a_request_sent_twice(memory: Memory) -> None:
    chat = Chat(memory)
    kept = list(chat.messages)
    chat.answer(turn("never seen", "One."))
    chat.messages = kept
    chat.answer(turn("seen", "Another."))
    assert chat.carried() == ["seen"]


def test_26_the_next_request_before_anything_is_written(memory: Memory) -> None:
    with memory.locked():
        chat = Chat(memory)
        for number in range(3):
            chat.answer(
                turn(f"thought {number}", "", call()) if number else turn("thought 0", "OK")
            )
        assert chat.carried() == ["thought 0", "thought 1", "thought 2"]


@pytest.mark.parametrize(
    "seen", [LONG, LONG[:50], LONG[:40] + "\n"], ids=["all that came", "less", "trimmed"]
)
def test_27_a_stopped_text(chat: Chat, seen: str) -> None:
    chat.answer(turn("partial", LONG), complete=False)
    chat.messages[-1]["content"] = seen
    assert chat.carried() == ["thought 1", "thought 2", "partial"]


def test_27_a_whole_text_of_which_the_client_kept_the_beginning(chat: Chat) -> None:
    chat.answer(turn("whole", LONG))
    chat.messages[-1]["content"] = LONG[:70]
    assert chat.carried() == ["thought 1", "thought 2", "whole"]


@pytest.mark.parametrize(("profile", "sent"), [("deepseek-v4", ""), ("kimi", None)])
def test_28_a_turn_without_reasoning_is_known(
    memory: Memory, profile: str, sent: str | None
) -> None:
    chat = Chat(memory, profile=profile)
    chat.answer(turn(None, "", call()))
    assert chat.carried() == [sent]
    assert chat.rules() == ["known-empty"]


def test_28_an_upstream_that_is_seen_to_reason_gets_an_empty_field(memory: Memory) -> None:
    chat = Chat(memory, profile="field-generic")
    chat.answer(turn(None, "", call()))
    assert chat.carried() == [None]
    chat.answer(turn("thought", "", call()))
    chat.answer(turn(None, "", call()))
    assert chat.carried() == [None, "thought", ""]


def test_30_images_that_are_in_one_request_only(memory: Memory) -> None:
    chat = Chat(memory)
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
    chat.messages[-1]["content"] = [{"type": "text", "text": "What is this?"}, image]
    chat.answer(turn("thought", "A dot."))
    chat.messages[-2]["content"] = [{"type": "text", "text": "What is this?"}]
    assert chat.carried() == ["thought"]


def test_31_a_chat_resumed_after_its_turns_were_forgotten(chat: Chat) -> None:
    chat.memory.clock.pass_days(31)
    chat.memory.recall.forget_old(max_age_days=30, max_bytes=1 << 30)
    chat.memory.restart()
    assert chat.carried() == ["", ""]
    sent = chat.send()
    calls = [made["id"] for made in sent[2]["tool_calls"]]
    assert calls == [message["tool_call_id"] for message in sent if message["role"] == "tool"]
