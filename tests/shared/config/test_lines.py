import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.config.lines import KeyPath, Lines, key_text

ODD_VALUES = (
    '"a # b [c] = {"',
    "'x] = \\'",
    '"\\" \\\\"',
    '"""\n[not.a.table]\nkey = 1 \\"""\n"""',
    '""""two quotes, then five: """""',
    '[""""one quote, then four"""", "]",\n]',
    '""""""',
    "'''\n# no comment ]]\n'''''",
    "['''four'''', ']',\n]",
    '[ "]", # ]\n  [[]],\n\n]',
    '{ a = "}", "b c" = ["{"] } # }',
    "1979-05-27T07:32:00Z",
    "''",
)
ODD_KEYS = (
    "k{n}",
    "k{n}.deeper",
    "k{n} . 'l]'",
    '"q # [{n}] = "',
    "'l{n} \\'",
    '"esc\\" \\u00e9{n}"',
    "{n}",
    "\t k-{n}\t",
)
TABLES = ("[t{n}]", "[ t{n} . 'x.y' ] # ]", "# comment [")
LISTS = ("[[list]]", "[[list.inner]]", "[list.t{n}]", '[["list"."quo]ted"]]')


@st.composite
def documents(draw: st.DrawFn) -> str:
    """Valid TOML in which every integer is the number of the line its key is on."""
    before = draw(st.lists(st.sampled_from(ODD_KEYS + TABLES)))
    after = draw(st.lists(st.sampled_from(ODD_KEYS + TABLES + LISTS)))
    text = ""
    for n, form in enumerate([*before, "[[list]]", *after]):
        line = text.count("\n") + 1
        value = draw(st.sampled_from([str(line), str(line), *ODD_VALUES]))
        text += form.replace("{n}", str(n)) + (f" = {value}\n" if form in ODD_KEYS else "\n")
    return text.replace("\n", draw(st.sampled_from(["\n", "\r\n"])))


def integers(value: Any, path: KeyPath = ()) -> list[tuple[KeyPath, int]]:
    """Every integer in the tables, and not in inline tables or plain lists."""
    if isinstance(value, int):
        return [(path, value)]
    children = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    return [found for key, child in children for found in integers(child, (*path, key))]


@given(documents())
def test_every_key_is_found_on_its_line(text: str) -> None:
    lines = Lines(text)

    for path, line in integers(tomllib.loads(text)):
        assert lines.of(path) == line


TEXT = """\
top = 1
[server]
listen_addr = "x"

[[upstreams]]
name = "a"
api_keys = [
  "one",
  "two",
]
timeouts = { connect = 1 }
[[upstreams.model_rewrites]]
from = "a"
[[upstreams]]
timeouts.idle = 3
[[upstreams.model_rewrites]]
from = "b"
"""


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("top",), 1),
        (("server",), 2),
        (("server", "listen_addr"), 3),
        (("server", "missing"), 2),
        (("upstreams",), 5),
        (("upstreams", 0, "missing"), 5),
        (("upstreams", 0, "api_keys", 1), 7),
        (("upstreams", 0, "timeouts", "connect"), 11),
        (("upstreams", 0, "model_rewrites", 0, "from"), 13),
        (("upstreams", 1), 14),
        (("upstreams", 1, "timeouts"), 15),
        (("upstreams", 1, "model_rewrites", 0, "from"), 17),
        (("missing",), None),
        ((), None),
    ],
    ids=lambda value: key_text(value) or "root" if isinstance(value, tuple) else str(value),
)
def test_a_path_is_found_at_its_key_or_what_holds_it(path: KeyPath, line: int | None) -> None:
    assert Lines(TEXT).of(path) == line


def test_a_path_is_written_as_in_a_message() -> None:
    assert key_text(("upstreams", 1, "headers", "X Y\n")) == 'upstreams[1].headers."X Y\\n"'
