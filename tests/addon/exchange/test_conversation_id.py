"""Which requests are shown together."""

import json

import pytest

from addon.exchange.conversation_id import conversation_of
from addon.formats.paths import classify
from addon.translation.pair import ClientRequest
from addon.translation.read import read
from tests.addon.recall.chat import Json

SYSTEM = {"role": "system", "content": "You are a coding agent."}
ANSWER = {"role": "assistant", "content": "Done."}
UUID = "0195b2a4-1c1e-7e2f-8d4a-0123456789ab"
OTHER = "0195b2a4-1c1e-7e2f-8d4a-ba9876543210"
HELLO = [{"role": "user", "content": "hello"}]


def asked(body: Json, path: str = "/v1/chat/completions") -> ClientRequest:
    endpoint = classify(path)
    assert endpoint is not None
    return read(endpoint, json.dumps({"model": "m"} | body).encode(), lambda _: None, None).request


def said(text: object) -> Json:
    return {"role": "user", "content": text}


def name(
    *messages: Json, headers: dict[str, str] | None = None, by: str = "user:1", **members: object
) -> str:
    return conversation_of(by, headers or {}, asked({"messages": list(messages)} | members))


def test_a_name_is_short_and_gives_nothing_away() -> None:
    found = name(said("hello"), metadata={"cursorConversationId": UUID})
    assert len(found) == 24
    assert set(found) <= set("0123456789abcdef")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/chat/completions", {"messages": HELLO, "metadata": {"cursorConversationId": UUID}}),
        ("/v1/chat/completions", {"input": HELLO, "metadata": {"cursorConversationId": UUID}}),
        ("/v1/responses", {"input": HELLO, "metadata": {"cursorConversationId": UUID}}),
        ("/v1/responses", {"input": HELLO, "prompt_cache_key": UUID}),
        ("/v1/chat/completions", {"messages": HELLO, "prompt_cache_key": UUID}),
        (
            "/v1/messages",
            {"messages": HELLO, "metadata": {"user_id": f"user_ab_account__session_{UUID}"}},
        ),
        (
            "/v1/messages",
            {"messages": HELLO, "metadata": {"user_id": json.dumps({"session_id": UUID})}},
        ),
        (
            "/v1/messages",
            {
                "messages": HELLO,
                "metadata": {"user_id": json.dumps({"device_id": "d" * 64, "session_id": UUID})},
            },
        ),
    ],
    ids=[
        "Cursor",
        "Cursor's mixture",
        "Responses",
        "Codex",
        "cache key",
        "Claude Code",
        "short JSON",
        "long JSON",
    ],
)
def test_a_conversation_that_the_body_names_is_that_one(path: str, body: Json) -> None:
    one, other = body, json.loads(json.dumps(body).replace(UUID, OTHER))
    again = json.loads(json.dumps(body).replace("hello", "compacted: hello"))
    names = [conversation_of("user:1", {}, asked(each, path)) for each in (one, again, other)]
    assert names[0] == names[1] != names[2]


@pytest.mark.parametrize(
    "header", ["thread-id", "conversation_id", "x-claude-code-session-id", "x-session-id"]
)
def test_a_conversation_that_the_headers_name_is_that_one(header: str) -> None:
    one = name(said("hello"), headers={header: UUID}, prompt_cache_key="everywhere the same")
    assert one == name(said("compacted"), headers={header: UUID})
    assert one != name(
        said("hello"), headers={header: OTHER}, prompt_cache_key="everywhere the same"
    )


def test_a_conversation_without_a_name_is_known_by_its_first_words() -> None:
    first = name(SYSTEM, said("fix it"))
    assert first == name(
        {"role": "system", "content": "another mode"}, said("fix it\r\n"), ANSWER, said("and this")
    )
    assert first != name(SYSTEM, said("and this"))


def test_surroundings_that_are_alike_in_all_chats_are_passed_over() -> None:
    around = said("<user_info>OS: linux</user_info>")
    first = name(SYSTEM, around, said("fix it"))
    assert first == name(SYSTEM, around, said("fix it"), ANSWER, said("go on"))
    assert first != name(SYSTEM, around, said("break it"))


def test_of_what_a_user_typed_the_typed_part_counts_also_after_a_stopped_answer() -> None:
    around = said("<user_info>OS: linux</user_info>")
    typed = [{"type": "text", "text": "<files>a.py</files><user_query>fix it</user_query>"}]
    first = name(SYSTEM, around, said(typed))
    again = said("<files>b.py</files><user_query>\nfix it\n</user_query>")
    assert first == name(SYSTEM, around, again, said("<user_query>no, stop</user_query>"))


def test_other_callers_have_other_conversations() -> None:
    assert name(said("hello")) != name(said("hello"), by="user:2")
    key = {"prompt_cache_key": "k"}
    assert name(said("hello"), by="user:1", **key) != name(said("hello"), by="user:2", **key)


def test_a_first_message_that_reads_like_a_name_is_not_one() -> None:
    assert name(said(UUID)) != name(said("hello"), prompt_cache_key=UUID)


@pytest.mark.parametrize(
    "members",
    [
        {"metadata": ["cursorConversationId"]},
        {"metadata": {"cursorConversationId": 7}},
        {"prompt_cache_key": [1]},
    ],
    ids=["list", "number", "key that is a list"],
)
def test_names_of_other_types_are_none(members: Json) -> None:
    assert name(said("hello"), **members) == name(said("hello"))


@pytest.mark.parametrize(
    "messages", [[], [SYSTEM], [SYSTEM, ANSWER], [said("")]], ids=["none", "system", "answer", ""]
)
def test_without_a_name_and_words_it_is_not_known(messages: list[Json]) -> None:
    assert name(*messages) == ""
