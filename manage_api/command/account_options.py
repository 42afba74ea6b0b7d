"""What accounts and keys may be given on the command line: limits, an end, a password."""

import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import click

from manage_api.domains.limits import MOST
from shared.clock import SystemClock
from shared.model import Limits
from shared.security.passwords import password_fault, readable_password

__all__ = ("choose_password", "limit_options", "limits_of", "password_option")

_MOST_MODELS = 256
_LONGEST_MODEL = 256

password_option = click.option(
    "--password",
    help="`-` reads a line from standard input. Default: asked for on a terminal, else a random "
    "one, shown once.",
)


def _models(_: click.Context, __: click.Parameter, text: str) -> tuple[str, ...]:
    models = tuple(filter(None, map(str.strip, text.split(","))))
    if len(models) > _MOST_MODELS or any(len(each) > _LONGEST_MODEL for each in models):
        raise click.BadParameter(
            f"give at most {_MOST_MODELS} models, of {_LONGEST_MODEL} characters each."
        )
    return models


def _end(_: click.Context, __: click.Parameter, day: datetime | None) -> int | None:
    if day is None:
        return None
    end = int(day.replace(tzinfo=UTC).timestamp()) * 1000
    if end <= SystemClock().now_ms():
        raise click.BadParameter("give a day to come.")
    return end


_OPTIONS = (
    click.option(
        "--quota",
        type=click.IntRange(0, MOST),
        metavar="TOKENS",
        help="How many tokens may be used. Default: no limit.",
    ),
    click.option(
        "--period",
        type=click.Choice(["lifetime", "month", "day"]),
        default="lifetime",
        show_default=True,
        help="For how long the quota is.",
    ),
    click.option(
        "--models",
        default="",
        metavar="NAME,NAME…",
        callback=_models,
        help="The models that may be used; `*` stands for any characters. Default: all.",
    ),
    click.option(
        "--expires",
        "expires_at",
        type=click.DateTime(["%Y-%m-%d"]),
        metavar="YYYY-MM-DD",
        callback=_end,
        help="The day, in UTC, from which the key is refused. Default: never.",
    ),
)


def limit_options[F: Callable[..., Any]](command: F) -> F:
    """Give a command the options `quota`, `period`, `models` and `expires_at`."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def limits_of(options: dict[str, Any]) -> Limits:
    """Return the limits among a command's options."""
    return Limits(quota_tokens=options["quota"], period=options["period"])


def choose_password(given: str | None, username: str) -> tuple[str, bool]:
    """Return a new password, and whether it was generated and so has to be shown."""
    if given == "-":
        given = sys.stdin.readline().rstrip("\r\n")
    elif given is None and sys.stdin.isatty():
        given = _ask(username)
    return given or readable_password(), not given


def _ask(username: str) -> str:
    """Ask for a password until one is acceptable; empty: a random one is wanted."""

    def check(text: str) -> str:
        if text and (fault := password_fault(text, username)):
            raise click.UsageError(fault)
        return text

    password: str = click.prompt(
        "New password (empty: a random one)",
        default="",
        show_default=False,
        hide_input=True,
        value_proc=check,
        err=True,
    )
    if password and click.prompt("The same again", hide_input=True, err=True) != password:
        click.echo("The two are not the same.", err=True)
        return _ask(username)
    return password
