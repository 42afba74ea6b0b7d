"""Hosted tools stay away from upstreams that can't run them, or the request is refused."""

import pytest

from addon.formats.neutral.hosted_tools import HostedTaking, without_foreign_tools
from addon.formats.neutral.problem import RequestError
from addon.formats.neutral.request import Hosted, Request, Tool, ToolChoice, WireFormat
from addon.formats.neutral.turn import Text, message_of

SEARCH = Hosted("responses", "web_search_preview", {"type": "web_search_preview"})
FETCH = Hosted(
    "messages", "web_fetch_20250910", {"type": "web_fetch_20250910", "name": "web_fetch"}
)
READ = Tool(name="Read")


def asking(
    *hosted: Hosted, tools: tuple[Tool, ...] = (READ,), choice: ToolChoice | None = None
) -> Request:
    return Request(
        origin="responses",
        model="m",
        messages=[message_of("user", [Text("hi")])],
        tools=tools,
        hosted=hosted,
        tool_choice=choice,
    )


@pytest.mark.parametrize(
    ("api", "kept"), [("chat", ()), ("responses", (SEARCH,)), ("messages", (FETCH,))]
)
def test_an_upstream_gets_the_hosted_tools_of_its_format_alone(
    api: WireFormat, kept: tuple[Hosted, ...]
) -> None:
    request, notes = without_foreign_tools(asking(SEARCH, FETCH), api, "drop")
    assert request.hosted == kept
    assert [kind for kind in (SEARCH.kind, FETCH.kind) if f"'{kind}'" in "".join(notes)] == [
        one.kind for one in (SEARCH, FETCH) if one not in kept
    ]


@pytest.mark.parametrize(
    ("request_", "taking"),
    [
        pytest.param(asking(SEARCH), "refuse", id="the operator says so"),
        pytest.param(asking(SEARCH, tools=()), "drop", id="nothing else is offered"),
        pytest.param(
            asking(SEARCH, choice=ToolChoice("required", ("web_search_preview",))),
            "drop",
            id="asked for by its kind",
        ),
        pytest.param(
            asking(SEARCH, choice=ToolChoice("required", ("web_search",))),
            "drop",
            id="by its kind without a date",
        ),
        pytest.param(
            asking(FETCH, choice=ToolChoice("required", ("web_fetch",))), "drop", id="by its name"
        ),
        pytest.param(
            asking(SEARCH, choice=ToolChoice("auto", ("web_search_preview",))),
            "drop",
            id="the only one allowed",
        ),
    ],
)
def test_an_answer_without_the_tool_would_be_made_up(
    request_: Request, taking: HostedTaking
) -> None:
    with pytest.raises(RequestError) as refused:
        without_foreign_tools(request_, "chat", taking)
    assert refused.value.problem.code == "unsupported_tool"
    assert f"'{request_.hosted[0].kind}'" in refused.value.problem.message


def test_a_choice_keeps_the_tools_that_are_there() -> None:
    choice = ToolChoice("required", ("Read", "web_search_preview"))
    request, _ = without_foreign_tools(asking(SEARCH, choice=choice), "chat", "drop")
    assert request.tool_choice == ToolChoice("required", ("Read",))


def test_a_client_that_wants_no_call_gets_its_answer() -> None:
    asked = asking(SEARCH, tools=(), choice=ToolChoice("none"))
    request, notes = without_foreign_tools(asked, "chat", "drop")
    assert (request.hosted, len(notes)) == ((), 1)
