"""Bodies lose what their upstream refuses, and nothing else."""

import json
from typing import Any

from addon.formats.chat.fitting import fitted

type Json = dict[str, Any]

PICTURE: Json = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
WORDS: Json = {"type": "text", "text": "What is this?"}


def messages_of(body: bytes) -> list[Json]:
    return list(json.loads(body)["messages"])


def user(content: Any) -> Json:
    return {"role": "user", "content": content}


def body(*messages: Json) -> bytes:
    return json.dumps({"model": "m", "messages": messages, "seed": 1}).encode()


def test_a_picture_becomes_a_remark_and_a_note() -> None:
    found, notes = fitted(
        body(user("hi"), user([WORDS, PICTURE])),
        pictures=False,
        allows_consecutive_user_messages=True,
    )
    assert messages_of(found)[1]["content"] == [
        WORDS,
        {"type": "text", "text": "[image left out: this model can't read it]"},
    ]
    assert notes == ("a picture or file in message 1 was left out: the upstream takes none",)


def test_the_users_messages_in_a_row_become_one() -> None:
    spoken = [
        user("a"),
        user([WORDS]),
        user(None),
        {"role": "assistant", "content": "b"},
        user("c"),
    ]
    found, _ = fitted(body(*spoken), pictures=True, allows_consecutive_user_messages=False)
    assert messages_of(found) == [
        user([{"type": "text", "text": "a"}, WORDS]),
        {"role": "assistant", "content": "b"},
        user("c"),
    ]


def test_a_body_that_fits_keeps_its_bytes() -> None:
    given = b'{"model" : "m", "messages":[ {"role":"user","content":"\\u00e9"} ,{"role":"assistant","content":null}]}'
    assert fitted(given, pictures=False, allows_consecutive_user_messages=False) == (given, ())


def test_other_members_of_a_fitted_body_keep_their_bytes() -> None:
    given = b'{"seed":1e400,"messages":[{"role":"user","content":[{"type":"image_url"}],"name":"\\u00e9"}],"x":1.0}'
    found, _ = fitted(given, pictures=False, allows_consecutive_user_messages=True)
    assert b'"seed":1e400' in found
    assert b'"name":"\\u00e9"' in found
    assert found.endswith(b'"x":1.0}')


def test_many_messages_in_a_row_are_joined_in_one_go() -> None:
    found, _ = fitted(
        body(*(user("a") for _ in range(20_000))),
        pictures=True,
        allows_consecutive_user_messages=False,
    )
    assert [len(message["content"]) for message in messages_of(found)] == [20_000]
