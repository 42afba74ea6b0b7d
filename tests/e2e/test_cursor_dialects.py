"""Every dialect of Cursor over a chat upstream that knows functions only, and over Azure's
Responses.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.e2e.trio import AZURE
from tests.support.gateway import Gateway, upstream_table
from tests.support.provider import StrictProvider
from tests.support.responder import StrictResponder
from tests.support.turns import Json
from tests.wire.player import DIALECTS, Dialect, Player, ScriptedCall, Sent, load, scripted
from tests.wire.reached import Reached, in_chat, in_responses

REWRITES = [
    {"from": "my-alias", "to": "strong-model"},
    {
        "from_pattern": "^(gpt|my-alias-thinking)-high$",
        "to_template": "strong-model",
        "effort": "high",
    },
]
STRICT = """
[profiles.strict]
like = "deepseek-v4"
efforts = {}
"""
CHAT: Json = {"profile": "strict", "images": "drop"}
PATCHING = {
    "hybrid-3.14.27",
    "hybrid-luna",
    "hybrid-mixed-tools",
    "responses-apply-patch",
    "responses-custom-items",
}


class Played(msgspec.Struct, frozen=True, kw_only=True):
    """A dialect, what went out and came back, and what the upstream got of it."""

    dialect: Dialect
    sent: list[Sent]
    bodies: list[Json]
    reached: list[Reached]
    issued: list[str]
    """The reasoning of every answer, in the shape in which it comes back."""

    rejections: list[Any]


class Stage:
    """A gateway in front of one upstream; each dialect is played once."""

    def __init__(self, upstream: StrictProvider | StrictResponder, gateway: Gateway) -> None:
        self.api = "chat" if isinstance(upstream, StrictProvider) else "responses"
        self._upstream = upstream
        self._caller = (gateway.origin, gateway.new_user("ada"))
        self._played: dict[str, Played] = {}

    def played(self, path: Path) -> Played:
        if path.stem not in self._played:
            self._played[path.stem] = self._play(load(path))
        return self._played[path.stem]

    def _play(self, dialect: Dialect) -> Played:
        upstream = self._upstream
        bodies, issued, rejections = (
            len(_bodies(upstream)),
            len(_issued(upstream)),
            len(upstream.rejections),
        )
        upstream.maker = scripted(dialect)
        sent = Player(*self._caller).play(dialect)
        asked = _bodies(upstream)[bodies:]
        return Played(
            dialect=dialect,
            sent=sent,
            bodies=asked,
            reached=list(map(in_chat if self.api == "chat" else in_responses, asked)),
            issued=_issued(upstream)[issued:],
            rejections=upstream.rejections[rejections:],
        )


def _bodies(upstream: StrictProvider | StrictResponder) -> list[Json]:
    return upstream.bodies() if isinstance(upstream, StrictProvider) else upstream.bodies


def _issued(upstream: StrictProvider | StrictResponder) -> list[str]:
    if isinstance(upstream, StrictProvider):
        return [turn.reasoning or "" for turn in upstream.ledger.issued]
    return upstream.issued


@pytest.fixture(scope="module")
def over_chat(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    yield from staged(StrictProvider(), CHAT, tmp_path_factory.mktemp("chat"))


@pytest.fixture(scope="module")
def over_responses(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    yield from staged(StrictResponder(), AZURE, tmp_path_factory.mktemp("responses"))


def staged(
    upstream: StrictProvider | StrictResponder, settings: Json, directory: Path
) -> Iterator[Stage]:
    with upstream:
        config = (
            upstream_table("only", upstream.base_url, model_rewrites=REWRITES, **settings) + STRICT
        )
        with Gateway(directory, config=config) as gateway:
            yield Stage(upstream, gateway)


@pytest.fixture
def stage(api: str, request: pytest.FixtureRequest) -> Stage:
    found: Stage = request.getfixturevalue(f"over_{api}")
    return found


every_dialect = pytest.mark.parametrize(
    ("api", "path"),
    [
        pytest.param(api, path, id=f"{api}-{path.stem}")
        for api in ("chat", "responses")
        for path in DIALECTS
    ],
)
every_patch = pytest.mark.parametrize(
    "path", [path for path in DIALECTS if path.stem in PATCHING], ids=lambda path: path.stem
)


@every_dialect
def test_a_dialect_is_answered_in_chat_chunks(stage: Stage, path: Path) -> None:
    played = stage.played(path)
    for line, sent in zip(played.dialect.lines, played.sent, strict=True):
        assert sent.answer.headers["content-type"].startswith("text/event-stream")
        assert sent.heard.text == line.answer.text
        assert [call["name"] for call in sent.heard.calls] == [
            call.name for call in line.answer.calls
        ]
        assert all(map(is_said, line.answer.calls, sent.heard.calls))
        assert len({call["id"] for call in sent.heard.calls}) == len(sent.heard.calls)
        assert sent.heard.finish_reason == ("tool_calls" if line.answer.calls else "stop")
        assert (sent.usage is not None) == ("stream_options" in sent.body)
        assert f'"model":"{sent.model}"'.encode() in sent.answer.body


def is_said(call: ScriptedCall, heard: Json) -> bool:
    """Whether a call came as it was made: free text as it is, arguments as JSON."""
    if call.arguments is None:
        return bool(heard["arguments"] == call.input)
    return bool(json.loads(heard["arguments"]) == call.arguments)


@every_dialect
def test_the_upstream_of_a_dialect_has_nothing_to_refuse(stage: Stage, path: Path) -> None:
    played = stage.played(path)
    assert played.rejections == []
    assert [fault for reached in played.reached for fault in reached.faults] == []


@every_dialect
def test_the_upstream_of_a_dialect_is_asked_what_was_meant(stage: Stage, path: Path) -> None:
    played = stage.played(path)
    wanted = played.dialect.wanted(stage.api)
    assert [
        reached.among(want) for reached, want in zip(played.reached, wanted, strict=True)
    ] == wanted


@every_dialect
def test_every_turn_of_a_dialect_gets_its_own_reasoning_back(stage: Stage, path: Path) -> None:
    played = stage.played(path)
    wanted = [tuple(played.issued[at] for at in sorted(sent.replays)) for sent in played.sent]
    assert [reached.thoughts for reached in played.reached] == wanted
    assert not any(
        thought in json.dumps(sent.body) for sent in played.sent for thought in played.issued
    )


def patches_of(played: Played) -> list[str]:
    """What was given to ApplyPatch; the last request has all of it as Cursor replays it, raw."""
    calls = [call for line in played.dialect.lines for call in line.answer.calls]
    patches = [call.input for call in calls if call.arguments is None]
    assert all(json.dumps(patch) in json.dumps(played.sent[-1].body) for patch in patches)
    return patches


@every_patch
def test_a_replayed_patch_is_a_function_s_argument_for_a_chat_upstream(
    over_chat: Stage, path: Path
) -> None:
    played = over_chat.played(path)
    calls = [
        call["function"]
        for message in played.bodies[-1]["messages"]
        for call in message.get("tool_calls", ())
    ]
    arguments = [json.loads(call["arguments"]) for call in calls if call["name"] == "ApplyPatch"]
    assert arguments == [{"input": patch} for patch in patches_of(played)]


@every_patch
def test_a_replayed_patch_is_raw_text_for_a_responses_upstream(
    over_responses: Stage, path: Path
) -> None:
    played = over_responses.played(path)
    texts = [
        item["input"] for item in played.bodies[-1]["input"] if item["type"] == "custom_tool_call"
    ]
    assert texts == patches_of(played)
