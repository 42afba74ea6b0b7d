"""The grammar of malformed requests makes the same ones of a seed, and can spoil any."""

from random import Random

import pytest

from tests.harden.malformed import TABLES, malformed
from tests.harden.sound import Request, Spoil, call_of, page_of

KEY = b"sk-" + b"k" * 40


def test_a_seed_makes_the_same_requests_again() -> None:
    first, again = Random(7), Random(7)
    made = [malformed(first, KEY) for _ in range(300)]
    assert made == [malformed(again, KEY) for _ in range(300)]
    assert all(sent.raw for sent in made)
    assert {sent.leave for sent in made} == {"", "fin", "reset"}
    assert {sent.calls for sent in made} >= {0, 1, 2}


@pytest.mark.parametrize("table", TABLES)
def test_every_request_can_be_spoilt_in_every_way(table: str) -> None:
    for name, (spoil, _) in TABLES[table].items():
        for make in (call_of, page_of):
            assert any(is_spoilt(spoil, make(Random(n), KEY)) for n in range(9)), name


def is_spoilt(spoil: Spoil, request: Request) -> bool:
    before = request.bytes
    spoil(Random(7), request)
    return request.bytes != before
