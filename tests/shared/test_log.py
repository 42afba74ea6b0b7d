"""The log has one form in all programs, holds no secret and steers no terminal."""

import io
import logging
import re
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from shared.config.schema import Logging
from shared.log import configure, masked, stamped, wants_color
from shared.security.keys import mint_key
from tests.addon.test_log import line


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


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    logger = logging.getLogger("thinkback")
    before = logger.handlers, logger.propagate, logger.level
    yield logger
    logger.handlers, logger.propagate, logger.level = before


def written(capsys: pytest.CaptureFixture[str], **settings: Any) -> Any:
    configure(Logging(**settings), sys.stdout)
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
    configure(Logging(), sys.stdout)
    read = written(capsys, color="never")
    line().write()
    assert read().out.count("POST") == 1
    assert logger.handlers[0].stream is sys.stdout  # type: ignore[attr-defined]


def test_a_program_with_a_name_is_named_in_each_line(
    logger: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    configure(Logging(color="never"), sys.stdout, "sidecar")
    logger.info("words")
    logger.warning("more")
    lines = capsys.readouterr().out.splitlines()
    assert [text[20:] for text in lines] == ["sidecar: words", "sidecar: warning: more"]
    assert all(re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d ", text) for text in lines)


def test_a_time_is_written_before_a_text() -> None:
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d words", stamped("words", 1_800_000_000))
