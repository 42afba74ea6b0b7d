"""What mitmproxy does several times for each request and nobody needs, left out: an upstream's
connection for each layer's context, copies of options that can't be changed, the fields of a hook
looked up anew.

Private parts of mitmproxy 12 are used: `tests/addon/edge/test_shortcuts.py` fails when one of
them changes.
"""

from dataclasses import fields
from functools import cache
from typing import Any

from mitmproxy.hooks import Hook
from mitmproxy.optmanager import _Option, unset
from mitmproxy.proxy.context import Context

__all__ = ("install",)

_UNCHANGEABLE = (bool, int, float, str, type(None))

_copy_of = _Option.current


def _fork(self: Context) -> Context:
    """The same, without a `Server` that is thrown away at once."""
    fork: Context = Context.__new__(Context)
    fork.client, fork.options, fork.server = self.client, self.options, self.server
    fork.layers = self.layers.copy()
    return fork


def _current(self: Any) -> Any:
    value = self._default if self.value is unset else self.value
    return value if isinstance(value, _UNCHANGEABLE) else _copy_of(self)


def _args(self: Hook) -> list[Any]:
    kind: Any = type(self)
    return [getattr(self, name) for name in _names(kind)]


@cache
def _names(kind: Any) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind))


def install() -> None:
    """Make mitmproxy use these, in this process."""
    Context.fork = _fork  # type: ignore[method-assign]
    _Option.current = _current  # type: ignore[method-assign]
    Hook.args = _args  # type: ignore[method-assign]
