"""UTF-8 that is broken: some servers cut characters in two."""

__all__ = ("as_utf8",)


def as_utf8(text: bytes) -> bytes:
    """The text with U+FFFD in the place of what is no UTF-8; other text as it is.

    Clients would fail at the first such byte of an answer, whatever else it says.
    """
    if text.isascii():
        return text
    try:
        text.decode()
    except UnicodeDecodeError:
        return text.decode(errors="replace").encode()
    return text
