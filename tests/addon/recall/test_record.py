"""What the table keeps of a turn gives the turn back: in this version's encoding and in all
earlier ones, and in few bytes.
"""

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some
from msgspec.structs import replace

from addon.formats.neutral.turn import Reasoning
from addon.recall import record as module
from addon.recall.record import Record, Thought, decode, encode

TOKEN = "BIeeNt0yB1c42H2V"
AFTER = "0TPbSb02Cih39UW1"
TURN = Record(
    token=TOKEN,
    reasoning="Let me read the file first.",
    field="reasoning_content",
    text="I read it.",
    ids=("call_0", ""),
    names=("Read", "Glob"),
    parent=AFTER,
    after=AFTER,
    since="since",
    made_at=1_790_000_000_000,
    thoughts=(Thought(1, Reasoning("", "summary", "sealed", "encrypted_content", "rs_1")),),
    origin="account",
)
"""The turn that all the rows below were written of."""

JSON = (
    b'{"token":"BIeeNt0yB1c42H2V","reasoning":"Let me read the file first.",'
    b'"field":"reasoning_content","text":"I read it.","ids":["call_0",""],"names":["Read","Glob"],'
    b'"parent":"0TPbSb02Cih39UW1","after":"0TPbSb02Cih39UW1","since":"since",'
    b'"made_at":1790000000000,"complete":true,"thoughts":[{"at":1,"reasoning":{"text":"",'
    b'"field":"summary","opaque":"sealed","carrier":"encrypted_content","id":"rs_1"}}],'
    b'"origin":"account","disowned":false}'
)
PLAIN = bytes.fromhex(
    "019dbb4c6574206d652072656164207468652066696c652066697273742eb1726561736f6e696e67"
    "5f636f6e74656e74aa4920726561642069742e92a663616c6c5f30a092a452656164a4476c6f62c3"
    "b030545062536230324369683339555731a573696e6365cf000001a0c4506c00c39182a2617401a9"
    "726561736f6e696e6785a474657874a0a56669656c64a773756d6d617279a66f7061717565a67365"
    "616c6564a763617272696572b1656e637279707465645f636f6e74656e74a26964a472735f31a761"
    "63636f756e74c2"
)
COMPRESSED = bytes.fromhex(
    "0228b52ffd20ce35030003040ec2d895fd799649b87c7c5806da47a4e06cc93f1292504f44f6e585"
    "235c6cb44f66ed228cc59499af99c5be4dcf9a64d4312a71472d010bc10ffc0c2bb4d8c875a591d4"
    "4aef95f0905560f790a27f404cd2a74a41c951a36c9f8653b18f40c1645381a2"
)

texts = some.text(some.characters(), max_size=40)
tokens = some.one_of(some.just(""), some.just(AFTER), some.text(max_size=16))
thoughts = some.builds(
    Thought, some.integers(0, 9), some.builds(Reasoning, texts, texts, texts, texts, texts)
)
records = some.builds(
    Record,
    token=some.just(TOKEN),
    reasoning=some.none() | texts | texts.map(lambda text: text * 50),
    field=texts,
    text=texts,
    ids=some.lists(texts, max_size=3).map(tuple),
    names=some.lists(texts, max_size=3).map(tuple),
    parent=some.none() | tokens,
    after=tokens,
    since=tokens,
    made_at=some.integers(0, 2**53),
    complete=some.booleans(),
    thoughts=some.lists(thoughts, max_size=2).map(tuple),
    origin=texts,
    disowned=some.booleans(),
)


@given(records)
def test_every_turn_comes_back_as_it_was(record: Record) -> None:
    body, length = encode(record)
    assert decode(TOKEN, body) == record
    assert len(body) <= length + 1


@given(records, texts)
def test_a_turn_with_half_a_letter_comes_back_as_it_was(record: Record, text: str) -> None:
    split = replace(record, text=f"{text}\ud83e")
    assert decode(TOKEN, encode(split)[0]) == split


@pytest.mark.parametrize("row", [JSON, PLAIN, COMPRESSED], ids=["json", "plain", "compressed"])
def test_rows_of_every_encoding_stay_readable(row: bytes) -> None:
    assert decode(TOKEN, row) == TURN


def test_the_dictionary_is_the_one_that_rows_were_compressed_with() -> None:
    file = Path(module.__file__).with_name("record_dictionary_1.zstd")
    assert hashlib.sha256(file.read_bytes()).hexdigest() == (
        "fcfc0c52a7cb13ca14b8bcabdf78aa8e2edbecf522f65b9a862eca9753e65c7f"
    )


def test_a_turn_is_compressed_only_where_that_saves_bytes() -> None:
    short = Record(token=TOKEN, reasoning="é", made_at=1)
    assert encode(short)[0][0] == 1
    assert encode(replace(short, reasoning="Let me look at the file. " * 4))[0][0] == 2


def test_what_grows_from_state_to_state_is_the_length_before_compression() -> None:
    states = [Record(token=TOKEN, reasoning="same " * count) for count in range(1, 200)]
    lengths = [encode(state)[1] for state in states]
    assert lengths == sorted(set(lengths))


def test_an_unknown_encoding_is_named() -> None:
    with pytest.raises(ValueError, match=r"unknown encoding b'\\xff'"):
        decode(TOKEN, b"\xffabc")
