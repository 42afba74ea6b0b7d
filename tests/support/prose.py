"""Plausible English of any length, which no dictionary of ours has been trained on."""

import itertools
from collections.abc import Iterator
from pydoc_data.topics import topics

__all__ = ("Prose",)


class Prose:
    """The words of Python's own manual, as often as they stand there, again and again."""

    def __init__(self) -> None:
        self._words: Iterator[str] = itertools.cycle(
            word for text in topics.values() for word in text.split()
        )

    def cut(self, size: int) -> str:
        """So many characters of what comes next."""
        text = ""
        while len(text) < size:
            text += next(self._words) + " "
        return text[:size]
