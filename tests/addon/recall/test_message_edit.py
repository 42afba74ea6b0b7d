"""Each turn's reasoning goes back where its upstream had it: exactly, once, and to nobody else."""

import json
from typing import Any

import pytest

from addon.formats.chat import patch_request as chat_request
from addon.formats.neutral.request import Request
from addon.formats.neutral.turn import Reasoning, Text, ToolCall, Turn, message_of, turn_of
from addon.formats.translate import restored
from addon.recall.replay import Replay
from addon.recall.restore import Policy
from tests.addon.recall.chat import ID_KEY, Chat, Json, Memory, call, turn

SENTINEL = {"google": {"thought_signature": "skip_thought_signature_validator"}}
SIGNED: Json = {"type": "reasoning.text", "text": "r", "signature": "s"}
PLAIN: Json = {"type": "reasoning.text", "text": "r"}
BLOB: Json = {"type": "reasoning.encrypted", "data": "x", "id": "rs_1"}


def state(carrier: str, opaque: Any, place: str = "") -> Reasoning:
    held = opaque if isinstance(opaque, str) else json.dumps(opaque, separators=(",", ":"))
    return Reasoning(
        "", "reasoning" if carrier == "reasoning_details" else "", held, carrier, place
    )


def details(*items: Json, text: str = "", calls: tuple[ToolCall, ...] = ()) -> Turn:
    said = Reasoning(
        "r", "reasoning", json.dumps(items, separators=(",", ":")), "reasoning_details"
    )
    return turn_of([said, *([Text(text)] if text else []), *calls], "stop")


def signed(*signatures: str | None, text: str = "") -> Turn:
    """A turn of Gemini's with a call for each signature."""
    parts: list[Any] = [Text(text)] if text else []
    for at, signature in enumerate(signatures):
        if signature:
            parts.append(
                state("extra_content", {"google": {"thought_signature": signature}}, str(at))
            )
        parts.append(call("Read", json.dumps({"n": at}), f"call_{at}"))
    return turn_of(parts, "tool_calls")


def annexes(chat: Chat) -> list[list[str | None]]:
    """The signatures of the calls that are sent, by message."""
    found = [message["tool_calls"] for message in chat.send() if message.get("tool_calls")]
    return [
        [one.get("extra_content", {}).get("google", {}).get("thought_signature") for one in calls]
        for calls in found
    ]


def sent(chat: Chat) -> list[Json]:
    return [message for message in chat.send() if message["role"] == "assistant"]


# -- details ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "items",
    [[PLAIN], [SIGNED, BLOB], [PLAIN | {"odd": [1.5, None]}]],
    ids=["plain", "state", "odd"],
)
def test_details_take_the_place_of_the_string(memory: Memory, items: list[Json]) -> None:
    chat = Chat(memory, profile="openrouter")
    chat.answer(details(*items, text="Done."))["reasoning"] = " r"
    assert sent(chat) == [{"role": "assistant", "content": "Done.", "reasoning_details": items}]


def test_an_empty_array_goes_beside_the_string(memory: Memory) -> None:
    chat = Chat(memory, profile="openrouter")
    chat.answer(details(text="Done."))
    assert sent(chat) == [
        {"role": "assistant", "content": "Done.", "reasoning_details": [], "reasoning": "r"}
    ]


def test_details_of_the_client_s_own_stay_only_where_the_turn_is_unknown(memory: Memory) -> None:
    chat = Chat(memory, profile="openrouter")
    chat.say_elsewhere({"content": "Said elsewhere.", "reasoning_details": [PLAIN]})
    chat.answer(details(SIGNED, text="Done."))["reasoning_details"] = [PLAIN]
    assert [message["reasoning_details"] for message in sent(chat)] == [[PLAIN], [SIGNED]]
    assert chat.rules() == ["client", "anchor"]


def test_an_item_with_an_id_stands_in_a_request_once(memory: Memory) -> None:
    chat = Chat(memory, profile="openrouter")
    for text in ("One.", "Two."):
        chat.answer(details(PLAIN, BLOB, text=text))
    assert [message["reasoning_details"] for message in sent(chat)] == [[PLAIN, BLOB], [PLAIN]]


def test_a_text_without_the_signature_it_needs_is_left_out(memory: Memory) -> None:
    chat = Chat(memory, profile="openrouter")
    chat.answer(details(PLAIN | {"format": "anthropic-claude-v1"}, BLOB, text="Done."))
    assert sent(chat)[0]["reasoning_details"] == [BLOB]


@pytest.mark.parametrize(
    ("items", "left"), [([SIGNED, BLOB], None), ([PLAIN, BLOB], [PLAIN])], ids=["all", "some"]
)
def test_state_never_leaves_its_account(
    memory: Memory, items: list[Json], left: list[Json] | None
) -> None:
    chat = Chat(memory, profile="openrouter")
    chat.origin = "one"
    chat.answer(details(*items, text="Done."))["reasoning_details"] = items
    chat.origin = "another"
    assert (sent(chat)[0].get("reasoning_details") or None) == left
    assert "reasoning" not in sent(chat)[0]
    chat.origin = "one"
    assert sent(chat)[0]["reasoning_details"] == items


def test_the_state_of_a_look_alike_is_never_borrowed(memory: Memory) -> None:
    twins = [Chat(memory, "Same?", profile="openrouter") for _ in range(2)]
    for twin, signature in zip(twins, ("s", "t"), strict=True):
        twin.answer(details(SIGNED | {"signature": signature}, text="Same."))
    assert sent(twins[0]) == [{"role": "assistant", "content": "Same."}]


# -- the content -----------------------------------------------------------------------------------

HEAD = "<think>\n r \n</think>\n\n"


def tagged(text: str, *calls: ToolCall) -> Turn:
    said = Reasoning("\n r \n", "<think>", HEAD, "<think>")
    return turn_of([said, *([Text(text)] if text else []), *calls], "stop")


@pytest.mark.parametrize(
    "content", ["Done.\n", "Done.", " Done.", [{"type": "text", "text": "Done."}]], ids=str
)
def test_a_provider_gets_the_content_that_it_wrote(memory: Memory, content: Any) -> None:
    chat = Chat(memory, profile="minimax")
    chat.answer(tagged("Done.\n", call()))["content"] = content
    assert sent(chat)[0]["content"] == f"{HEAD}Done.\n"


@pytest.mark.parametrize("content", [None, "", []], ids=str)
def test_text_that_the_client_drops_beside_calls_comes_back_with_its_tags(
    memory: Memory, content: Any
) -> None:
    chat = Chat(memory, profile="minimax")
    chat.answer(tagged("I look.", call()))["content"] = content
    assert sent(chat)[0]["content"] == f"{HEAD}I look."


def test_text_that_the_client_has_changed_stays_changed(memory: Memory) -> None:
    chat = Chat(memory, profile="minimax")
    chat.answer(tagged("I look.", call()))["content"] = "I"
    assert sent(chat)[0]["content"] == f"{HEAD}I"


def test_what_was_cut_inside_its_tags_comes_back_closed(memory: Memory) -> None:
    chat = Chat(memory, profile="minimax")
    chat.answer(turn("r", "", call(), field="<think>"), complete=False)
    assert sent(chat)[0]["content"] == "<think>r</think>"


def test_a_provider_that_reads_tags_gets_a_string_in_tags(memory: Memory) -> None:
    chat = Chat(memory, profile="cerebras-glm")
    chat.answer(turn("r", "Done.", call(), field="reasoning"))["reasoning"] = "r"
    message = sent(chat)[0]
    assert (message["content"], "reasoning" in message) == ("<think>r</think>Done.", False)


def test_chunks_come_back_as_they_were(memory: Memory) -> None:
    chunk = {"type": "thinking", "thinking": [{"type": "text", "text": "r"}], "closed": True}
    said = Reasoning("r", "content[].thinking", json.dumps([chunk]), "content[].thinking")
    chat = Chat(memory, profile="mistral")
    chat.answer(turn_of([said, Text("Done."), call()], "tool_calls"))["reasoning_content"] = "r"
    message = sent(chat)[0]
    assert message["content"] == [chunk, {"type": "text", "text": "Done."}]
    assert "reasoning_content" not in message


def test_a_copy_of_the_client_s_is_put_where_the_provider_knows_it(memory: Memory) -> None:
    chat = Chat(memory, profile="mistral")
    chat.say_elsewhere({"content": "Said elsewhere.", "reasoning_content": "its own"})
    chunk = {"type": "thinking", "thinking": [{"type": "text", "text": "its own"}]}
    assert sent(chat)[0] == {
        "role": "assistant",
        "content": [chunk, {"type": "text", "text": "Said elsewhere."}],
    }


# -- beside the calls ------------------------------------------------------------------------------


def test_an_annex_goes_back_beside_its_own_call(memory: Memory) -> None:
    chat = Chat(memory, profile="gemini")
    message = chat.answer(signed("one", None, "three"))
    message["tool_calls"].reverse()
    assert annexes(chat) == [["three", None, "one"]]


def test_an_annex_is_found_where_the_client_replaced_the_ids(memory: Memory) -> None:
    chat = Chat(memory, profile="gemini")
    message = chat.answer(signed("one", None))
    for at, made in enumerate(message["tool_calls"]):
        made["id"] = chat.messages[at + 3]["tool_call_id"] = f"toolu_{at}"
    assert annexes(chat) == [["one", None]]


@pytest.mark.parametrize("repeated", ["", "toolu_same", "minted"])
def test_an_annex_goes_by_its_call_s_place_where_ids_tell_no_calls_apart(
    memory: Memory, repeated: str
) -> None:
    chat = Chat(memory, profile="gemini")
    message = chat.answer(signed("one", None, "three"))
    if repeated == "minted":
        repeated = message["tool_calls"][0]["id"]
    for made in (*message["tool_calls"], *chat.messages[3:]):
        made["id" if "id" in made else "tool_call_id"] = repeated
    for _ in range(2):
        assert annexes(chat) == [["one", None, "three"]]


def test_an_annex_of_the_client_s_own_goes_with_the_state_of_its_turn(memory: Memory) -> None:
    chat = Chat(memory, profile="gemini")
    chat.origin = "one"
    message = chat.answer(signed("one", "two"))
    for at, made in enumerate(message["tool_calls"]):
        made["id"] = chat.messages[at + 3]["tool_call_id"] = ""
        made["extra_content"] = {"google": {"thought_signature": ["one", "two"][at]}}
    chat.origin = "another"
    assert annexes(chat) == [["skip_thought_signature_validator", None]]


@pytest.mark.parametrize("lost", ["foreign", "first call", "account"])
def test_a_call_of_the_current_loop_that_has_no_signature_gets_the_documented_one(
    memory: Memory, lost: str
) -> None:
    chat = Chat(memory, profile="gemini")
    if lost == "foreign":
        chat.say_elsewhere(
            {
                "content": None,
                "tool_calls": [{"id": "x", "function": {"name": "Read", "arguments": "{}"}}],
            }
        )
    else:
        message = chat.answer(signed("one", None))
        del message["tool_calls"][0], chat.messages[3]
        chat.origin = "another" if lost == "account" else ""
    assert annexes(chat) == [[SENTINEL["google"]["thought_signature"]]]
    chat.answer(turn(None, "Done."))
    chat.ask("Go on.")
    assert annexes(chat) == [[SENTINEL["google"]["thought_signature"]]]


def test_a_call_of_an_earlier_loop_needs_no_signature(memory: Memory) -> None:
    chat = Chat(memory, profile="gemini")
    chat.say_elsewhere(
        {
            "content": None,
            "tool_calls": [{"id": "x", "function": {"name": "Read", "arguments": "{}"}}],
        }
    )
    chat.ask("Go on.")
    assert annexes(chat) == [[None]]


def test_state_of_a_call_never_leaves_its_account(memory: Memory) -> None:
    chat = Chat(memory, profile="gemini")
    chat.origin = "one"
    made = chat.answer(signed("one"))["tool_calls"][0]
    made["extra_content"] = {"google": {"thought_signature": "one"}}
    chat.origin = "another"
    assert annexes(chat) == [["skip_thought_signature_validator"]]
    chat.origin = "one"
    assert annexes(chat) == [["one"]]


def test_a_turn_that_was_not_signed_gets_nothing(memory: Memory) -> None:
    chat = Chat(memory, profile="gemini")
    chat.answer(signed(None))
    assert (annexes(chat), chat.rules()) == ([[None]], ["known-empty"])


# -- refused, and unrecoverable --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("profile", "given", "bare"),
    [
        ("openrouter", details(SIGNED, calls=(call(),)), {}),
        ("gemini", signed("one"), SENTINEL),
        ("minimax", tagged("I look.", call()), {}),
    ],
    ids=["details", "annex", "tags"],
)
def test_what_was_refused_is_not_sent_again(
    memory: Memory, profile: str, given: Turn, bare: Json
) -> None:
    chat = Chat(memory, profile=profile)
    chat.answer(given)
    usual = chat.policy
    chat.policy = Policy(usual.step, repairing=True, bare="now")
    chat.send()
    first, chat.policy = chat.sent, usual
    memory.restart()
    chat.send()
    message = sent(chat)[0]
    assert chat.sent == first
    assert message["tool_calls"][0].get("extra_content", {}) == bare
    assert message["tool_calls"][0]["id"] == "call_0"
    assert not {"reasoning", "reasoning_details"} & message.keys()


def test_what_the_client_carries_and_was_refused_is_not_sent_again(memory: Memory) -> None:
    chat = Chat(memory, profile="openrouter")
    chat.say_elsewhere({"content": "Said elsewhere.", "reasoning_details": [SIGNED]})
    usual = chat.policy
    chat.policy = Policy(usual.step, repairing=True, bare="now")
    assert "reasoning_details" not in sent(chat)[0]
    chat.policy = usual
    assert "reasoning_details" not in sent(chat)[0]


def test_a_conversation_can_begin_after_what_is_lost(memory: Memory) -> None:
    chat = Chat(memory, profile="kimi-thinking")
    chat.say_elsewhere(
        {
            "content": None,
            "tool_calls": [{"id": "x", "function": {"name": "Read", "arguments": "{}"}}],
        }
    )
    chat.say_elsewhere({"content": "Done elsewhere."})
    chat.ask("Go on.")
    chat.answer(turn("thought", "", call()))
    chat.policy = Policy("trim")
    found = chat.send()
    assert [message["role"] for message in found] == ["system", "user", "assistant", "tool"]
    assert (found[1]["content"], found[2]["reasoning_content"]) == ("Go on.", "thought")


def test_nothing_is_dropped_of_the_current_loop(memory: Memory) -> None:
    chat = Chat(memory, profile="kimi-thinking")
    chat.say_elsewhere(
        {
            "content": None,
            "tool_calls": [{"id": "x", "function": {"name": "Read", "arguments": "{}"}}],
        }
    )
    chat.policy = Policy("trim")
    assert len(chat.send()) == 4


# -- neutral messages ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("profile", "given", "carriers"),
    [
        ("openrouter", details(SIGNED, text="Done."), ["reasoning_details"]),
        ("minimax", tagged("Done."), ["<think>"]),
        ("gemini", signed("one", "two", text="Done."), ["extra_content", "extra_content"]),
    ],
)
def test_a_client_of_another_format_gets_it_restored_too(
    memory: Memory, profile: str, given: Turn, carriers: list[str]
) -> None:
    chat = Chat(memory, profile=profile)
    chat.answer(given)
    plain = chat_request.decode(json.dumps({"model": "m", "messages": chat.messages}).encode())
    messages = [
        message_of(one.role, [Text(one.text), *one.calls], result_of=one.result_of)
        for one in plain.messages
    ]
    talk = Replay(
        recall=memory.recall,
        clock=memory.clock,
        id_key=ID_KEY,
        random=memory.random.randbytes,
        principal_id=chat.principal,
        messages=messages,
        has_tools=True,
    )
    edits = talk.restore(chat.profile, chat.policy).edits
    found = restored(Request(origin="responses", model="m", messages=messages), edits).messages[2]
    held = [part for part in found.parts if isinstance(part, Reasoning)]
    assert [one.carrier for one in held] == carriers
    assert [one.opaque for one in held] == [
        one.opaque for one in given.parts if isinstance(one, Reasoning)
    ]
