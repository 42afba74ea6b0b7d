"""Requests fit what the upstream takes; its answers fit what the client declared."""

from typing import Any

import msgspec
import pytest

from addon.formats.neutral.adapt import Abilities, Raising, lowered, raised
from addon.formats.neutral.deltas import CallDelta, Delta, Finish, TextDelta
from addon.formats.neutral.problem import RequestError
from addon.formats.neutral.request import Hosted, Request, Tool
from addon.formats.neutral.turn import File, Image, Message, Text, ToolCall, Turn, message_of

PATCH = "*** Begin Patch\n*** End Patch"
LOWERED = '{"input":"*** Begin Patch\\n*** End Patch"}'
GRAMMAR = {"type": "grammar", "syntax": "lark", "definition": "start: /a/"}
APPLY_PATCH = Tool(
    name="ApplyPatch", description="Edits files.", custom=True, grammar=GRAMMAR, nested=False
)
NAMES = frozenset({"ApplyPatch"})


def asked(*messages: Message, tools: tuple[Tool, ...] = (APPLY_PATCH,)) -> Request:
    return Request(origin="chat", model="m", messages=list(messages), tools=tools)


def call_of(call: ToolCall, **abilities: Any) -> ToolCall:
    low = lowered(asked(message_of("assistant", [call])), Abilities(**abilities))
    return low.request.messages[0].calls[0]


def test_a_custom_tool_becomes_a_function_of_one_text_that_tells_the_grammar() -> None:
    (tool,) = lowered(asked(), Abilities()).request.tools
    assert (tool.name, tool.custom, tool.grammar) == ("ApplyPatch", False, None)
    assert tool.parameters is not None
    assert tool.parameters["required"] == ["input"]
    assert tool.description.startswith("Edits files.")
    assert "start: /a/" in tool.description


def test_an_upstream_that_knows_custom_tools_gets_them_as_they_are() -> None:
    low = lowered(asked(), Abilities(custom_tools=True))
    assert (low.request.tools, low.custom) == ((APPLY_PATCH,), frozenset())


def test_a_hosted_tool_stays_out_where_it_does_not_run() -> None:
    request = asked()
    request.hosted = (Hosted("responses", "web_search", {}),)
    assert lowered(request, Abilities(api="responses")).request.hosted == request.hosted
    low = lowered(request, Abilities())
    assert (low.request.hosted, len(low.notes)) == ((), 1)


@pytest.mark.parametrize(
    ("call", "functions", "custom"),
    [
        pytest.param(
            ToolCall("c", "ApplyPatch", PATCH, custom=True),
            ToolCall("c", "ApplyPatch", LOWERED),
            ToolCall("c", "ApplyPatch", PATCH, custom=True),
            id="as documented",
        ),
        pytest.param(
            ToolCall("c", "ApplyPatch", PATCH),
            ToolCall("c", "ApplyPatch", LOWERED),
            ToolCall("c", "ApplyPatch", PATCH, custom=True),
            id="as Cursor replays it",
        ),
        pytest.param(
            ToolCall("c", "ApplyPatch", LOWERED),
            ToolCall("c", "ApplyPatch", LOWERED),
            ToolCall("c", "ApplyPatch", PATCH, custom=True),
            id="lowered before",
        ),
        pytest.param(
            ToolCall("c", "Gone", PATCH),
            ToolCall("c", "Gone", LOWERED),
            ToolCall("c", "Gone", LOWERED),
            id="tool gone",
        ),
        pytest.param(
            ToolCall("c", "Read", "{cut"),
            ToolCall("c", "Read", "{cut"),
            ToolCall("c", "Read", "{cut"),
            id="cut",
        ),
        pytest.param(
            ToolCall("c", "Read", ""),
            ToolCall("c", "Read", ""),
            ToolCall("c", "Read", ""),
            id="no arguments",
        ),
    ],
)
def test_replayed_calls_are_what_the_upstream_knows(
    call: ToolCall, functions: ToolCall, custom: ToolCall
) -> None:
    assert call_of(call) == functions
    assert call_of(call, custom_tools=True) == custom


@pytest.mark.parametrize(
    ("schema", "mended"),
    [
        (None, {"type": "object", "properties": {}}),
        ({}, {"type": "object", "properties": {}}),
        ({"properties": {"x": {}}}, {"type": "object", "properties": {"x": {}}}),
        ({"type": None, "properties": {}}, {"type": "object", "properties": {}}),
        ({"type": "object", "x": 1}, {"type": "object", "x": 1}),
    ],
    ids=str,
)
def test_a_schema_says_that_arguments_are_an_object(schema: Any, mended: dict[str, Any]) -> None:
    low = lowered(asked(tools=(Tool(name="f", parameters=schema),)), Abilities())
    assert low.request.tools[0].parameters == mended


@pytest.mark.parametrize(
    ("part", "what"), [(Image("data:"), "image"), (File("data:"), "file")], ids=["image", "file"]
)
def test_what_an_upstream_does_not_take_is_left_out_with_a_note_or_refused(
    part: Image | File, what: str
) -> None:
    request = asked(message_of("user", [Text("a"), part]))
    low = lowered(request, Abilities(images="drop", files="drop"))
    assert low.request.messages[0].parts == (
        Text("a"),
        Text(f"[{what} left out: this model can't read it]"),
    )
    assert low.notes == (f"the {what} in message 0 was left out: the upstream takes none",)
    with pytest.raises(RequestError, match=what):
        lowered(request, Abilities(images="refuse", files="refuse"))
    assert lowered(request, Abilities()).request.messages == request.messages


def test_a_result_stays_a_result_when_its_picture_goes() -> None:
    call = message_of("assistant", [ToolCall("c", "Read", "{}")])
    result = message_of("tool", [Image("data:")], result_of="c", failed=True, cache="5m")
    _, found = lowered(asked(call, result), Abilities(images="drop")).request.messages
    assert (found.role, found.result_of, found.failed, found.cache) == ("tool", "c", True, "5m")


def test_a_streamed_call_is_held_until_its_text_is_whole_and_others_pass() -> None:
    raising = Raising(NAMES)
    deltas: list[Delta] = [
        CallDelta(0, "c", "ApplyPatch", '{"input":'),
        CallDelta(1, "d", "Read", "{}"),
        CallDelta(0, arguments='"*** Begin Patch\\n*** End Patch"}'),
    ]
    assert raising.read(deltas) == [
        CallDelta(0, "c", "ApplyPatch", custom=True),
        CallDelta(1, "d", "Read", "{}"),
    ]
    end = [TextDelta("a"), Finish("tool_calls")]
    assert raising.read(list(end)) == [CallDelta(0, arguments=PATCH, custom=True), *end]


@pytest.mark.parametrize("after", [TextDelta("a"), CallDelta(1, "d", "Read")], ids=repr)
def test_a_custom_call_comes_before_what_is_said_after_it(after: Delta) -> None:
    raising = Raising(NAMES)
    raising.read([CallDelta(0, "c", "ApplyPatch"), CallDelta(0, arguments=LOWERED)])
    assert raising.read([after]) == [CallDelta(0, arguments=PATCH, custom=True), after]


def test_each_choice_ends_by_itself() -> None:
    raising = Raising(NAMES)
    raising.read(
        [
            CallDelta(0, "c", "ApplyPatch", '{"input":"a"}'),
            CallDelta(0, "d", "ApplyPatch", "b", choice=1),
        ]
    )
    assert raising.read([Finish("stop", 1)]) == [
        CallDelta(0, arguments="b", choice=1, custom=True),
        Finish("stop", 1),
    ]
    assert raising.read([Finish("stop")]) == [
        CallDelta(0, arguments="a", custom=True),
        Finish("stop"),
    ]


def test_without_lowered_tools_deltas_pass_as_they_are() -> None:
    deltas: list[Delta] = [CallDelta(0, "c", "ApplyPatch", "{}")]
    assert Raising(frozenset()).read(deltas) is deltas


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (LOWERED, PATCH),
        (PATCH, PATCH),
        ('{"input":"a","more":1}', '{"input":"a","more":1}'),
        ('{"input":1}', '{"input":1}'),
        ('"a"', '"a"'),
        ("\ud83d", "\ud83d"),
    ],
)
def test_only_what_was_lowered_is_unpacked(arguments: str, text: str) -> None:
    turn = Turn(
        calls=(ToolCall("c", "ApplyPatch", arguments), ToolCall("d", "Read", LOWERED)),
        finish_reason="tool_calls",
    )
    assert raised(turn, NAMES).calls == (
        ToolCall("c", "ApplyPatch", text, custom=True),
        turn.calls[1],
    )
    assert raised(turn, frozenset()) is turn


def test_of_more_stop_sequences_than_an_upstream_takes_the_first_go() -> None:
    request = asked()
    request.stop = ("a", "b", "c")
    low = lowered(request, Abilities(most_stops=2))
    assert (low.request.stop, len(low.notes)) == (("a", "b"), 1)
    for taken in (3, None):
        assert lowered(request, Abilities(most_stops=taken)).request.stop == ("a", "b", "c")


def test_the_first_declaration_of_a_tool_counts_in_its_place() -> None:
    tools = tuple(Tool(name=name, description=str(at)) for at, name in enumerate("abac"))
    low = lowered(asked(tools=tools), Abilities())
    assert [(tool.name, tool.description) for tool in low.request.tools] == [
        ("a", "0"),
        ("b", "1"),
        ("c", "3"),
    ]
    assert low.notes == ("the second declaration of the tool 'a' was left out",)


def test_a_custom_tool_has_its_long_name_back_in_streams_and_turns() -> None:
    patch = msgspec.structs.replace(APPLY_PATCH, name="apply.patch")
    low = lowered(asked(tools=(patch,)), Abilities())
    (short,) = low.names
    assert low.names[short] == "apply.patch"
    assert low.request.tools[0].name == short
    deltas: list[Delta] = [CallDelta(0, "c", short, LOWERED), Finish("tool_calls")]
    assert Raising(low.custom, low.names).read(deltas) == [
        CallDelta(0, "c", "apply.patch", custom=True),
        CallDelta(0, arguments=PATCH, custom=True),
        Finish("tool_calls"),
    ]
    turn = Turn(calls=(ToolCall("c", short, LOWERED),), finish_reason="tool_calls")
    assert raised(turn, low.custom, low.names).calls == (
        ToolCall("c", "apply.patch", PATCH, custom=True),
    )
