"""The log is one line per request that holds no secret and steers no terminal."""

import io
import logging
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from addon.log import RequestLine, configure, masked, wants_color
from shared.config.schema import Logging
from shared.security.keys import mint_key


class Stream(io.StringIO):
    def __init__(self, terminal: bool) -> None:
        super().__init__()
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal


@pytest.mark.parametrize(
    ("setting", "environ", "terminal", "expected"),
    [
        ("auto", {}, True, True),
        ("auto", {}, False, False),
        ("auto", {"NO_COLOR": "1"}, True, False),
        ("auto", {"NO_COLOR": "0"}, True, False),
        ("auto", {"NO_COLOR": ""}, True, True),
        ("always", {}, False, True),
        ("always", {"NO_COLOR": "1"}, False, True),
        ("never", {}, True, False),
        ("never", {"NO_COLOR": ""}, True, False),
    ],
)
def test_color_is_as_set_or_as_the_terminal_wants(
    setting: str, environ: dict[str, str], terminal: bool, expected: bool
) -> None:
    assert wants_color(setting, environ, Stream(terminal)) is expected


SECRETS = {
    "ours": mint_key(),
    "OpenAI": "sk-proj-AbCd_1234-efghIJKL5678",
    "OpenRouter": "sk-or-v1-0123456789abcdef",
    "Anthropic": "sk-ant-api03-AAAA-bbbb_cccc",
    "MiMo": "tp-0123456789abcdef",
    "NVIDIA": "nvapi-0123456789abcdef",
    "xAI": "xai-0123456789abcdef",
    "Groq": "gsk_0123456789abcdef",
    "Hugging Face": "hf_0123456789abcdef",
    "Fireworks": "fw_0123456789abcdef",
    "Cerebras": "csk-0123456789abcdef",
    "Google": "AIzaSyA0123456789abcdef",
    "Zhipu": "0123456789abcdef0123456789abcdef.AbCdEfGh12345678",
    "a session": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJlLTAxMjM",
}


@pytest.mark.parametrize("secret", SECRETS.values(), ids=SECRETS)
@pytest.mark.parametrize(
    "around",
    [
        *(
            "{}",
            "key={} x",
            '"api_key":"{}"',
            "['{}']",
            "_{}",
            "({})",
            "https://a.example/?key={}&b",
            "é{}é",
        ),
        *(
            r"in JSON:\n{}\n",
            r"\u001b[1m{}\u001b[0m",
            r"\u001b{}",
            "\x1b[31m{}",
            "\x1b[0m{}",
            "\x1b[m{}",
            "a\n{}",
            "a\x00{}",
        ),
    ],
)
def test_a_secret_is_masked_wherever_it_stands(around: str, secret: str) -> None:
    shown = masked(around.format(secret))
    assert secret[6:-4] not in shown
    assert "…" in shown


@pytest.mark.parametrize("scheme", ["Bearer ", "bearer ", "BEARER\t", "Bearer   "])
@pytest.mark.parametrize("token", ["x", "any-thing", "a.b", "sk-0123456789abcdef", "\u00e9\u00e9"])
def test_what_a_bearer_bears_is_masked_whatever_it_looks_like(scheme: str, token: str) -> None:
    assert masked(f'{{"authorization": "{scheme}{token}"}}') == f'{{"authorization": "{scheme}…"}}'


@pytest.mark.parametrize(
    "text", ["risk-based-approach", "a task-oriented-dialogue", "sk-short", "disk-0123456789ab"]
)
def test_ordinary_words_stay(text: str) -> None:
    assert masked(text) == text


def test_a_secret_is_masked_before_the_text_is_cut() -> None:
    assert masked("x" * 9 + " sk-0123456789abcdef", 18) == "x" * 9 + " sk-…cdef… (29 characters)"
    assert "0123" not in masked("x" * 9 + " sk-0123456789abcdef" + "z" * 9_000, 18)


def test_a_long_text_is_cut_and_says_how_long_it_was() -> None:
    assert masked("x" * 5_000, 10) == "x" * 10 + "… (5000 characters)"
    assert masked("x" * 10, 10) == "x" * 10
    assert masked("x" * 5_000) == "x" * 5_000


@pytest.mark.parametrize(
    "odd",
    [
        *map(chr, (0, 7, 8, 10, 11, 13, 27, 127, 133, 0x9B)),
        "\u2028",
        "\u2029",
        "\u202e",
        "\u2066",
        "\ud800",
    ],
)
def test_nothing_steers_a_terminal_or_starts_a_line(odd: str) -> None:
    shown = masked(f"a{odd}b")
    assert odd not in shown
    assert shown.startswith("a\\")
    shown.encode()


def test_what_steers_a_terminal_is_spelled_out() -> None:
    assert masked("\x1b[31m\n\u2028\udcff") == r"\x1b[31m\n\u2028\udcff"


def test_ordinary_text_of_any_language_stays() -> None:
    assert masked("naïve 思考 🧠 نویسه‌ها\t👩‍💻") == "naïve 思考 🧠 نویسه‌ها\t👩‍💻"


def line(**more: Any) -> RequestLine:
    given: dict[str, Any] = {
        "client": "9.9.9.9",
        "user_agent": "Cursor/1.0",
        "method": "POST",
        "path": "/v1/x",
    }
    return RequestLine(**given | {"status": "200", "seconds": 1.23456} | more)


def test_a_line_says_everything_that_is_known() -> None:
    full = line(
        principal="ada",
        key_suffix="abcd",
        model="gpt-5",
        upstream_model="deepseek-v4-pro",
        upstream="deep",
        upstream_key="…wxyz",
        tries=("401", "200"),
        restored={"id": 3, "missing": 1},
        first_byte=0.5,
        tokens=(100, 64, 7),
        note="noted",
    )
    assert full.text() == (
        "200 POST /v1/x 1.235s ada …abcd gpt-5 → deepseek-v4-pro @deep …wxyz "
        "tries=401,200 turns=id:3,missing:1 "
        'ttfb=0.500s tokens=100+7 cached=64 9.9.9.9 "Cursor/1.0" noted'
    )


@pytest.mark.parametrize(("step", "said"), [("off", "thinking=off"), ("trim", "history=shortened")])
def test_a_line_says_that_the_whole_request_was_changed_for_a_lost_turn(
    step: str, said: str
) -> None:
    assert f" turns=missing:1 {said} " in line(restored={"missing": 1}, step=step).text()


def test_a_line_says_no_more_than_is_known() -> None:
    assert line().text() == '200 POST /v1/x 1.235s 9.9.9.9 "Cursor/1.0"'
    same = line(model="m", upstream_model="m", upstream="up", tokens=(1, 0, 2), tries=("200",))
    assert same.text() == '200 POST /v1/x 1.235s m @up tries=200 tokens=1+2 9.9.9.9 "Cursor/1.0"'


def test_a_line_stays_one_line_of_bounded_length_without_secrets() -> None:
    key = mint_key()
    text = line(
        method="X" * 60_000, user_agent=f"a\n\x1b[31m{key}" + "y" * 60_000, path="/\u2028"
    ).text()
    assert key not in text
    assert text.isprintable()
    assert len(text) < 400


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    logger = logging.getLogger("thinkback")
    before = logger.handlers, logger.propagate, logger.level
    yield logger
    logger.handlers, logger.propagate, logger.level = before


def written(capsys: pytest.CaptureFixture[str], **settings: Any) -> Any:
    configure(Logging(**settings))
    return capsys.readouterr


def test_a_request_is_logged_with_its_time_and_without_a_level(
    logger: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    read = written(capsys, color="never")
    line().write()
    line(status="503").write()
    first, second = read().out.splitlines()
    assert first[4] == "-"
    assert first[20:] == '200 POST /v1/x 1.235s 9.9.9.9 "Cursor/1.0"'
    assert second[20:].startswith("503 POST")


@pytest.mark.parametrize(
    ("status", "paint"), [("200", "32"), ("304", "36"), ("404", "33"), ("502", "31"), ("gone", "0")]
)
def test_only_the_status_is_colored(
    logger: logging.Logger, capsys: pytest.CaptureFixture[str], status: str, paint: str
) -> None:
    read = written(capsys, color="always")
    line(status=status, path=f"/{status} {status}").write()
    assert (
        read().out[20:]
        == f'\x1b[{paint}m{status}\x1b[0m POST /{status} {status} 1.235s 9.9.9.9 "Cursor/1.0"\n'
    )


def test_levels_are_named_and_obeyed(
    logger: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    read = written(capsys, color="never", level="warning")
    line().write()
    line(status="500").write()
    logger.error("words")
    assert [text[20:32] for text in read().out.splitlines()] == ["500 POST /v1", "error: words"]


def test_a_traceback_holds_no_secret(
    logger: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    read, key = written(capsys, color="never"), mint_key()
    try:
        raise ValueError(f"a\x1b[31m{key}")
    except ValueError:
        logger.exception("it failed")
    out = read().out
    assert "Traceback" in out
    assert key not in out
    assert "\x1b" not in out


def test_configuring_again_does_not_write_twice(
    logger: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    configure(Logging())
    read = written(capsys, color="never")
    line().write()
    assert read().out.count("POST") == 1
    assert logger.handlers[0].stream is sys.stdout  # type: ignore[attr-defined]
