"""Whatever was shown and however it comes back: what is left is what would have come back
without it.
"""

import json
from collections.abc import Callable
from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addon.formats.chat.patch_stream import PatchStream
from addon.formats.wire import sse
from addon.mirror.blocks import Block, Style, new_token, stripped
from addon.mirror.stream import Mirror, Mirroring

type Spell = Callable[[Any], bytes]
type Said = list[tuple[str, str]]
"""The deltas of an answer: field and text."""

KEY = b"the key that tokens are made with"[:32]
STYLES: tuple[Style, ...] = ("details", "think")
SPELLINGS: tuple[Spell, ...] = (
    lambda body: json.dumps(body).encode(),
    lambda body: json.dumps(body, indent=1).encode(),
    lambda body: json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode(
        "utf-8", "replace"
    ),
    lambda body: json.dumps(body).replace("<", "\\u003c").replace(">", "\\u003e").encode(),
    lambda body: json.dumps(body).replace("<", "\\u003C").replace("/", "\\/").encode(),
)
HARD = (
    "<",
    "</details>",
    "<!--",
    "-->",
    "--thinkback",
    "\\",
    "\n",
    "\n\n",
    "\\n",
    "u003c",
    '"',
    "<think>",
    "é",
    "🧠",
)

spellings = st.sampled_from(SPELLINGS)
styles = st.sampled_from(STYLES)
texts = st.lists(st.sampled_from(HARD) | st.text(max_size=5), max_size=8).map("".join)
random = st.binary(min_size=5, max_size=5)
answers = st.lists(st.tuples(st.sampled_from(("content", "reasoning_content")), texts), max_size=8)


@st.composite
def blocks(draw: st.DrawFn, depth: int = 0) -> str:
    """One whole block; what was thought may quote another, with nothing to break its tags."""
    one = Block(draw(styles), new_token(bytes([depth]) + draw(random), KEY))
    quoted = draw(blocks(depth + 1)) if draw(st.booleans()) else ""
    return one.opening + one.text(draw(texts)) + quoted + one.closing


def request(content: Any, role: str = "assistant") -> Any:
    asked = {"role": "user", "content": "<details>mine</details> é"}
    return {"model": "m", "messages": [asked, {"content": content, "role": role}, asked]}


def parts(*texts: str) -> list[dict[str, str]]:
    return [{"type": "text", "text": text} for text in texts]


def shown(answer: Said, style: Style) -> str:
    """The content a client makes of the answer's chunks."""
    tokens = count()
    mirror = Mirror(style, lambda: new_token(next(tokens).to_bytes(6), KEY))
    relay = Mirroring(PatchStream(model="m", hide_usage=False, mint=lambda *_: ""), mirror)
    out = b"".join(relay.feed(chunk({field: text}))[1] for field, text in answer) + relay.end()
    deltas = [
        json.loads(event[6:])["choices"][0]["delta"]
        for event in out.split(b"\n\n")
        if event[6:7] == b"{"
    ]
    return "".join(delta.get("content") or "" for delta in deltas)


def chunk(delta: dict[str, str]) -> bytes:
    return sse.event(json.dumps({"model": "m", "choices": [{"index": 0, "delta": delta}]}).encode())


@given(answers, styles, spellings)
def test_an_answer_comes_back_as_it_was_said_in_whatever_chunks(
    answer: Said, style: Style, spell: Spell
) -> None:
    content, text = (
        shown(answer, style),
        "".join(text for field, text in answer if field == "content"),
    )
    assert stripped(spell(request(content)), KEY) == spell(request(text))
    bare = parts(text) if text or not content else []
    assert stripped(spell(request(parts(content))), KEY) == spell(request(bare))


@given(answers, styles, spellings, st.data())
def test_an_answer_that_was_cut_anywhere_comes_back_without_its_blocks(
    answer: Said, style: Style, spell: Spell, data: st.DataObject
) -> None:
    content = shown(answer, style)
    cut = content[: data.draw(st.integers(0, len(content)))]
    text = "".join(text for field, text in answer if field == "content")
    left = json.loads(stripped(spell(request(cut)), KEY))["messages"][1]["content"]
    opening = Block(style, "0" * 24, True).opening
    begun = [
        opening[at:end] for at in (0, 1, 2) for end in range(at, opening.index("thinkback") + 9)
    ]
    assert any(
        left.endswith(begin) and text.startswith(left.removesuffix(begin)) for begin in begun
    )


@given(
    st.lists(blocks(), min_size=1, max_size=3),
    st.lists(texts, min_size=4, max_size=4),
    spellings,
    st.data(),
)
def test_copies_are_cut_out_of_any_text_of_any_role(
    copies: list[str], around: list[str], spell: Spell, data: st.DataObject
) -> None:
    after = around[: len(copies) + 1]
    text = after[0] + "".join(copy + rest for copy, rest in zip(copies, after[1:], strict=True))
    plain = "".join(after)
    role = data.draw(st.sampled_from(("user", "tool", "system", "assistant")))
    assert stripped(spell(request(text, role)), KEY) == spell(request(plain, role))
    inner = [json.dumps({"found": one}) for one in (text, plain)]
    assert stripped(spell(request(inner[0], role)), KEY) == spell(request(inner[1], role))


@given(styles, texts, texts, texts, spellings, st.data())
def test_a_block_that_was_cut_into_parts_leaves_none_of_them(
    style: Style, before: str, thought: str, after: str, spell: Spell, data: st.DataObject
) -> None:
    one = Block(style, new_token(b"abcdef", KEY))
    block = one.opening + one.text(thought) + one.closing
    cut = data.draw(st.integers(block.index("-->") + 2, len(block) - len(one.closing)))
    split = parts(f"{before}-", block[:cut], f"{block[cut:]}-{after}")
    assert json.loads(stripped(spell(request(split)), KEY)) == json.loads(
        spell(request(parts(f"{before}-", f"-{after}")))
    )


@given(
    st.lists(texts, max_size=4), st.sampled_from(("user", "tool", "assistant")), spellings, styles
)
def test_text_without_a_block_of_ours_is_the_very_same(
    said: list[str], role: str, spell: Spell, style: Style
) -> None:
    forged = Block(style, new_token(b"abcdef", b"another key"))
    body = spell(request(parts(*said, forged.opening + forged.closing), role))
    assert stripped(body, KEY) is body


@given(st.binary(max_size=40), st.binary(max_size=40))
def test_what_is_no_json_is_left_as_it_is(before: bytes, after: bytes) -> None:
    body = before + b"--thinkback:" + after
    assert stripped(body, KEY) is body


@pytest.mark.parametrize(
    "hard",
    ["\\" * 50_000, "\n" * 50_000, "<" * 50_000, "<details>" * 9_000],
    ids=["backslashes", "lines", "brackets", "tags"],
)
def test_hard_text_takes_no_longer_than_other_text(hard: str) -> None:
    one = Block("details", new_token(b"abcdef", KEY))
    body = SPELLINGS[3](request(hard + "--thinkback" + one.opening * 500 + hard, "user"))
    assert stripped(body, KEY) is body
