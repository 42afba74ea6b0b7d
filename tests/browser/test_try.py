"""The page to try it: a conversation streams, is restored, can be stopped, and fails in words."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, Request, expect

from tests.browser.conftest import Walk
from tests.browser.test_dashboard import MODEL, PASSWORD, new_name
from tests.browser.walker import violations
from tests.support.admin import Admin
from tests.support.faults import held
from tests.support.provider import Answer, StrictProvider
from tests.support.rawhttp import Gate
from tests.support.turns import Call, Json, Turn

THOUGHT = "The user asks for the time, so I call the tool."
CALL = Turn(
    reasoning=THOUGHT,
    calls=(Call("call_00_time", "current_time", '{"time_zone": "Asia/Tokyo"}'),),
)
LATE = Turn(reasoning="The tool has told me.", text="It is late in Tokyo.")
AGAIN = Turn(reasoning="I know Lima, too.", text="It's early in Lima.")


@pytest.fixture(autouse=True)
def fresh(provider: StrictProvider) -> Iterator[None]:
    """Nothing is left of the script when a test ends."""
    provider.reset()
    yield
    provider.reset()


def enter(walk: Walk, user: Json, **look: Any) -> Page:
    """The page as a user has it who may ask for models."""
    walker = walk(**look)
    walker.sign_in_quietly(user["username"], PASSWORD)
    page = walker.go("/try")
    expect(page.get_by_label("Model")).to_have_value(MODEL)
    return page


def say(page: Page, text: str) -> None:
    box = page.get_by_label("Your message")
    expect(box).to_be_focused()
    box.fill(text)
    box.press("Enter")


def bodies_of(page: Page) -> list[Json]:
    """The requests to models that the page will send, as they come."""
    sent: list[Json] = []

    def note(request: Request) -> None:
        if request.url.endswith("/v1/chat/completions"):
            sent.append(json.loads(request.post_data or ""))

    page.on("request", note)
    return sent


def test_reasoning_streams_and_the_gateway_puts_it_back(
    walk: Walk, provider: StrictProvider, admin: Admin
) -> None:
    page = enter(walk, admin.add_user(new_name("ada")))
    sent, gate = bodies_of(page), Gate()
    provider.script(
        Answer(turn=CALL, fault=held(gate, before=-3)), Answer(turn=LATE), Answer(turn=AGAIN)
    )
    say(page, "What time is it in Tokyo?")
    expect(page.locator(".turn-thought")).to_contain_text(THOUGHT)
    expect(page.get_by_role("button", name="Stop")).to_be_visible()
    gate.open()

    expect(page.get_by_text("Result of current_time")).to_be_visible()
    expect(page.get_by_text("It is late in Tokyo.", exact=True)).to_be_visible()
    expect(page.get_by_text("put back the reasoning of 1 earlier answer")).to_be_visible()
    say(page, "And in Lima?")
    expect(page.get_by_text("put back the reasoning of 2 earlier answers")).to_be_visible()
    assert "reasoning" not in json.dumps(sent)
    assert [message["role"] for message in sent[-1]["messages"]] == [
        *("user", "assistant", "tool", "assistant", "user"),
    ]
    assert provider.rejections == []
    page.get_by_role("button", name="Details").last.click()
    expect(page.get_by_role("dialog").get_by_text("found by its tool-call id")).to_be_visible()


def test_what_was_stopped_goes_on_from_there(
    walk: Walk, provider: StrictProvider, admin: Admin
) -> None:
    page = enter(walk, admin.add_user(new_name("ada")))
    sent, gate = bodies_of(page), Gate()
    provider.script(Answer(turn=LATE, fault=held(gate, before=-3)), Answer(turn=AGAIN))
    say(page, "What time is it?")
    expect(page.get_by_text("It is late in Tokyo.", exact=True)).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_text("Stopped.", exact=True)).to_be_visible()
    assert gate.left.wait(30)
    say(page, "Go on")
    expect(page.get_by_text("put back the reasoning of 1 earlier answer")).to_be_visible()
    assert sent[-1]["messages"][1] == {"role": "assistant", "content": "It is late in Tokyo."}


def test_the_limits_of_the_chosen_key_hold_and_what_fails_is_tried_again(
    walk: Walk, provider: StrictProvider, admin: Admin
) -> None:
    user = admin.add_user(new_name("ada"))
    keys = f"/api/admin/users/{user['id']}/keys"
    key = admin.send("POST", keys, {"name": "narrow", "models": ["other-*"]})
    page = enter(walk, user)
    provider.script(Answer(turn=LATE))
    page.get_by_label("Key").select_option(label=f"narrow ({key['key']})")
    page.get_by_label("Your message").focus()
    say(page, "Hi")
    alert = page.get_by_role("alert").filter(has_text="your account or key may use")
    expect(alert).to_be_visible()
    page.get_by_label("Key").select_option(label="None: your account alone")
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_text(LATE.text, exact=True)).to_be_visible()
    expect(alert).to_have_count(0)


def test_the_same_conversation_runs_elsewhere(
    walk: Walk, provider: StrictProvider, admin: Admin
) -> None:
    user = admin.add_user(new_name("ada"))
    page = enter(walk, user)
    provider.script(*(Answer(turn=turn) for turn in (AGAIN, LATE, LATE)))
    say(page, "It's 'quoted'; $HOME \\ `x`")
    expect(page.get_by_text(AGAIN.text, exact=True)).to_be_visible()
    page.get_by_label("Offer a tool").uncheck()
    expect(page.locator("#same-curl")).not_to_contain_text("current_time")
    environment = os.environ | {"THINKBACK_API_KEY": user["api_key"]}
    programs = {"curl": (["sh"], "[DONE]"), "python": ([sys.executable], LATE.text)}
    for name, (command, said) in programs.items():
        text = page.locator(f"#same-{name}").text_content() or ""
        done = subprocess.run(
            [*command, "-c", text],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert said in done.stdout, done
    asked = [body["messages"] for body in provider.bodies()]
    assert asked[1] == asked[2]
    assert asked[1][0]["content"] == "It's 'quoted'; $HOME \\ `x`"


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 375)])
def test_everybody_can_use_the_page(
    walk: Walk, provider: StrictProvider, admin: Admin, scheme: str, width: int
) -> None:
    page = enter(walk, admin.add_user(new_name("ada")), scheme=scheme, width=width)
    assert violations(page) == []
    provider.script(Answer(turn=CALL), Answer(turn=LATE))
    say(page, "What time is it in Tokyo?")
    expect(page.get_by_text("put back the reasoning of 1 earlier answer")).to_be_visible()
    assert violations(page) == []
