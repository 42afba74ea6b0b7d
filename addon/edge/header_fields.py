"""mitmproxy's headers, looked through in one call.

Its own takes one call of Python for each header of a message and each of a name that is asked
for: five hundred a request.
"""

from collections.abc import Iterable
from typing import Any

from mitmproxy.http import Headers

__all__ = ("install",)

_make = Headers.__init__


def _init(self: Headers, fields: Iterable[tuple[bytes, bytes]] = (), **headers: str) -> None:
    if headers:
        _make(self, fields, **headers)
        return
    self.fields = tuple(map(tuple, fields))  # type: ignore[arg-type]
    for name, text in self.fields:
        if not (isinstance(name, bytes) and isinstance(text, bytes)):
            raise TypeError("Header fields must be bytes.")


def _get_all(self: Headers, name: str | bytes) -> list[str]:
    if isinstance(name, str):
        name = name.encode("utf-8", "surrogateescape")
    wanted = name.lower()
    return [
        text.decode("utf-8", "surrogateescape")
        for given, text in self.fields
        if given.lower() == wanted
    ]


def _get(self: Headers, name: str | bytes, default: Any = None) -> Any:
    texts = _get_all(self, name)
    return ", ".join(texts) if texts else default


def _contains(self: Headers, name: str | bytes) -> bool:
    return bool(_get_all(self, name))


def install() -> None:
    """Make mitmproxy use these, in this process."""
    Headers.__init__ = _init  # type: ignore[method-assign]
    Headers.get_all = _get_all  # type: ignore[method-assign]
    Headers.get = _get  # type: ignore[method-assign, assignment]
    Headers.__contains__ = _contains  # type: ignore[method-assign, assignment]
