"""Whatever JSON holds, what is taken from it has the type that is wanted."""

from typing import Any

import msgspec
import pytest

from addon.formats.wire.lenient import (
    as_dict,
    as_int,
    as_number,
    as_str,
    bool_member,
    decode_leniently,
    dicts_in,
    is_object,
    is_object_in,
    strings_in,
)

ODD: list[Any] = [None, True, 7, 1.5, "s", ["s", {}], {"a": 1}]


@pytest.mark.parametrize("found", ODD, ids=repr)
def test_a_value_is_taken_as_its_type_or_not_at_all(found: Any) -> None:
    assert as_str(found) == (found if found == "s" else "")
    assert as_dict(found) == (found if found == {"a": 1} else {})
    assert dicts_in(found) == ([{}] if found == ["s", {}] else [])
    assert strings_in(found) == (("s",) if found in ("s", ["s", {}]) else ())
    assert as_number(found) == (found if found in (7, 1.5) and found is not True else None)
    assert as_int(found) == (7 if found == 7 else None)
    assert bool_member({"x": found}, "x") == (True if found is True else None)


class Named(msgspec.Struct):
    type: Any = None


def test_the_name_of_a_member_may_hold_half_a_pair() -> None:
    assert decode_leniently(
        msgspec.json.Decoder(Named), rb'{"\ud83d":1,"type":[{"\udfff":2}]}'
    ) == Named([{"?": 2}])


@pytest.mark.parametrize(
    ("pieces", "whole"),
    [
        (['{"x": 1}'], True),
        ([' {"x"', ':{"y":1}', "}", "\n"], True),
        (["{}", "{}"], False),
        ([""], False),
        (["{cut"], False),
        (['{"x":{}', "}}"], False),
        (['{"x":"}'], False),
        (["[{}]"], False),
        (["*** patch }"], False),
        (['{"x":"\ud83d"}'], True),
    ],
    ids=repr,
)
def test_text_in_pieces_is_an_object_once_all_of_it_has_come(
    pieces: list[str], whole: bool
) -> None:
    assert (is_object("".join(pieces)), is_object_in(pieces)) == (whole, whole)
