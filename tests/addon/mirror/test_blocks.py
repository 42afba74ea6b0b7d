"""Blocks are shown so that nothing leads out of them, and are taken out of whatever comes
back, byte for byte.
"""

import json
from collections.abc import Callable
from typing import Any

import pytest

from addon.mirror.blocks import Block, Style, new_token, stripped
from tests.addon.recall.chat import Json

type Spell = Callable[[Any], bytes]

KEY = b"the key that tokens are made with"[:32]
TOKEN = new_token(b"abcdefgh", KEY)
STYLES: list[Style] = ["details", "think"]
SPELLINGS: dict[str, Spell] = {
    "spaced": lambda body: json.dumps(body).encode(),
    "compact": lambda body: json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode(),
    "indented": lambda body: json.dumps(body, indent=2).encode(),
    "go": lambda body: json.dumps(body).replace("<", "\\u003c").replace(">", "\\u003E").encode(),
    "php": lambda body: json.dumps(body).replace("/", "\\/").encode(),
}

spelled = pytest.mark.parametrize("spell", SPELLINGS.values(), ids=SPELLINGS)
styled = pytest.mark.parametrize("style", STYLES)


def block(
    style: Style = "details",
    *,
    led: bool = False,
    thought: str = "Let me <b>see</b>.\n\n```\nx = 1",
) -> str:
    one = Block(style, TOKEN, led)
    return one.opening + one.text(thought) + one.closing


def request(content: Any, role: str = "assistant", **members: Any) -> Json:
    asked = {
        "role": "user",
        "content": [{"type": "text", "text": "é ü 🧠 <details>mine</details>"}],
    }
    return {
        "model": "m",
        "messages": [asked, {"role": role, "content": content, **members}],
        "stream": True,
    }


def parts(*texts: str) -> list[Json]:
    return [{"type": "text", "text": text} for text in texts]


# -- what is shown ---------------------------------------------------------------------------------


def test_a_details_block_is_collapsed_and_quotes_what_was_thought() -> None:
    shown = block(thought="One.\nTwo.")
    assert shown.startswith(
        f"<details><summary>Thinking</summary><!--thinkback:{TOKEN}-->\n\n> One.\n> Two.\n\n"
    )
    assert shown.endswith("</details>\n\n")


def test_a_think_block_begins_and_ends_with_the_bare_tags() -> None:
    shown = block("think", thought="One.\nTwo.")
    assert shown.startswith("<think><!--")
    assert "-->\n\nOne.\nTwo.\n\n<!--" in shown
    assert shown.endswith("--></think>\n\n")


@styled
def test_no_tag_in_the_reasoning_ends_the_block(style: Style) -> None:
    shown = block(style, thought="</details> </think> <!-- <details>")
    assert (shown.count("</details>"), shown.count("</think>")) == (
        (1, 0) if style == "details" else (0, 1)
    )
    assert shown.replace("\N{ZERO WIDTH SPACE}", "").count("</details>") == (
        2 if style == "details" else 1
    )


# -- what comes back -------------------------------------------------------------------------------


@spelled
@styled
@pytest.mark.parametrize(
    "text", ["All is done.", "\n\nDone\\n", "<details>its own</details>", '"\\']
)
def test_a_block_before_the_text_is_cut_out_of_it(style: Style, spell: Spell, text: str) -> None:
    assert stripped(spell(request(block(style) + text)), KEY) == spell(request(text))
    assert stripped(spell(request(parts(block(style) + text))), KEY) == spell(request(parts(text)))


@spelled
@styled
@pytest.mark.parametrize("before", ["Text.", "Line\n", "Line\r", "back\\", "\\n"])
def test_a_block_within_the_text_goes_with_what_parted_it(
    style: Style, spell: Spell, before: str
) -> None:
    said = before + block(style, led=True)
    assert stripped(spell(request(said + "More.")), KEY) == spell(request(before + "More."))


@spelled
def test_a_turn_that_said_nothing_else_says_nothing(spell: Spell) -> None:
    calls = [{"id": "call_1", "type": "function", "function": {"name": "Read", "arguments": "{}"}}]
    for shown, bare in ((block(), ""), (parts(block()), [])):
        assert stripped(spell(request(shown, tool_calls=calls)), KEY) == spell(
            request(bare, tool_calls=calls)
        )


def test_other_parts_of_such_a_turn_stay() -> None:
    calls, text = (
        {"type": "tool_use", "id": "toolu_1", "name": "Read", "input": {}},
        {"type": "text", "text": "So."},
    )
    shown = parts(block())
    for before, after in (
        ([*shown, calls], [calls]),
        ([calls, *shown], [calls]),
        ([text, *shown, calls], [text, calls]),
    ):
        for spell in SPELLINGS.values():
            assert json.loads(stripped(spell(request(before)), KEY)) == request(after)


@pytest.mark.parametrize("role", ["user", "tool", "system"])
@spelled
def test_copies_are_cut_out_of_every_role(role: str, spell: Spell) -> None:
    before = f"It said: {block()}Done. And: {block('think')}Done."
    assert stripped(spell(request(before, role)), KEY) == spell(
        request("It said: Done. And: Done.", role)
    )


@spelled
@pytest.mark.parametrize("inner", SPELLINGS.values(), ids=SPELLINGS)
def test_a_copy_within_json_within_a_string_is_cut_too(inner: Spell, spell: Spell) -> None:
    def found(text: str) -> Json:
        return request(inner({"chats": [{"text": f"back\\{text}Done."}]}).decode(), "tool")

    assert stripped(spell(found(block())), KEY) == spell(found(""))


@spelled
@styled
@pytest.mark.parametrize("led", [False, True], ids=["first", "led"])
def test_an_answer_that_was_stopped_within_a_block_ends_before_it(
    style: Style, spell: Spell, led: bool
) -> None:
    shown = block(style, led=led)
    for cut in range(shown.index("thinkback") + 10, len(shown)):
        text = "Text." if led else ""
        assert stripped(spell(request(text + shown[:cut])), KEY) == spell(request(text)), shown[
            :cut
        ]
        assert stripped(spell(request(parts(text + shown[:cut]))), KEY) == spell(
            request(parts(text) if text else [])
        )


@pytest.mark.parametrize("role", ["user", "tool"])
def test_only_an_assistants_block_may_lack_its_end(role: str) -> None:
    body = SPELLINGS["compact"](request(block()[:-60] + " and more", role))
    assert stripped(body, KEY) == body


def test_a_stopped_block_ends_where_the_next_begins() -> None:
    joined = block()[:-70] + "\n\n" + Block("details", new_token(b"another", KEY)).opening
    closing = Block("details", new_token(b"another", KEY)).closing
    assert stripped(SPELLINGS["go"](request(joined + closing + "Text.")), KEY) == SPELLINGS["go"](
        request("Text.")
    )


def test_a_block_that_is_cut_into_parts_is_one_block() -> None:
    shown = block()
    split = parts(shown[:80], shown[80:110], shown[110:] + "Text.", "More.")
    for spell in SPELLINGS.values():
        assert json.loads(stripped(spell(request(split)), KEY)) == request(parts("Text.", "More."))


def test_a_block_that_quotes_another_is_one_block() -> None:
    inner = Block("think", new_token(b"another", KEY)).opening
    one = Block("details", TOKEN)
    body = request(one.opening + inner + "quoted" + one.closing + "Text.")
    assert stripped(SPELLINGS["go"](body), KEY) == SPELLINGS["go"](request("Text."))


@pytest.mark.parametrize("kept", ["\n", ""], ids=["one line", "none"])
def test_a_client_may_trim_what_follows_a_block(kept: str) -> None:
    assert stripped(SPELLINGS["compact"](request(block().rstrip() + kept)), KEY) == SPELLINGS[
        "compact"
    ](request(""))


def test_other_line_ends_are_known() -> None:
    shown = block(led=True).replace("\n", "\r\n")
    assert stripped(SPELLINGS["compact"](request(f"a{shown}b")), KEY) == SPELLINGS["compact"](
        request("ab")
    )


def test_among_responses_items_a_message_that_was_only_a_block_goes() -> None:
    def body(*items: Json) -> bytes:
        return json.dumps({"model": "m", "input": list(items)}, separators=(",", ":")).encode()

    asked, call = (
        {"role": "user", "content": "hi"},
        {"type": "function_call", "call_id": "c", "name": "Read"},
    )
    said = {
        "type": "message",
        "role": "assistant",
        "content": [{"type": "output_text", "text": block()}],
    }
    assert stripped(body(asked, said, call), KEY) == body(asked, call)
    assert stripped(body(said, call), KEY) == body(call)
    assert stripped(body(asked, said | {"content": block()}), KEY) == body(asked)


# -- what is not ours ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "<details><summary>Thinking</summary>mine</details>",
        "<think>mine</think>",
        block().replace(TOKEN, "0" * len(TOKEN)),
        block().replace(TOKEN, new_token(b"abcdefgh", b"another gateway's key")),
        "<details><summary>Thinking</summary><!--think",
        "--thinkback:",
    ],
    ids=["details", "think", "forged", "another gateway's", "begun", "name"],
)
@pytest.mark.parametrize("role", ["user", "assistant"])
@spelled
def test_what_others_wrote_stays(text: str, role: str, spell: Spell) -> None:
    body = spell(request(f"{text} and more", role))
    assert stripped(body, KEY) is body


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'{"messages": "x', b'"x"', b"\xff", b'{"messages": [1, "x", [2]]}']
)
def test_what_nobody_can_read_is_left_to_others(body: bytes) -> None:
    for text in (body, body + b"--thinkback", b"--thinkback" + body):
        assert stripped(text, KEY) is text


def test_odd_values_beside_a_block_keep_their_spelling() -> None:
    odd = '{"seed": 1e400, "x": "\\ud800", "messages": [1, [2, "y"], {"role": "assistant", "content": %s}], "a": NaN}'
    body = odd % json.dumps(block() + "Text.")
    assert stripped(body.encode(), KEY) == (odd % '"Text."').encode()
