"""Thinking in `<think>` tags at the beginning of a content, parted from the text piece by piece.

MiniMax by default, SambaNova, Cerebras' GLM and servers without a reasoning parser write it
there. Tags count at the beginning and right after a closed one only: later ones are text.
"""

__all__ = ("CLOSE", "OPEN", "THINK", "Tags")

OPEN, CLOSE = "<think>", "</think>"
THINK = "<think>"
"""The field of reasoning that came in tags."""


class Tags:
    """Parts thinking from text."""

    def __init__(self) -> None:
        self._held = ""
        self._inside = False
        self.done = False
        """Whether the text has begun."""

        self._head: list[str] = []

    @property
    def head(self) -> str:
        """All before the visible text, tags and blanks included; empty without a tag."""
        return "".join(self._head)

    def leave(self) -> None:
        """From here on all is text, unless a tag has been seen."""
        self.done = self.done or not (self._head or self._held)

    def feed(self, piece: str) -> tuple[str, str]:
        """The thinking and the visible text that are certain now."""
        if self.done or not piece:
            return "", piece
        self._held += piece
        thought: list[str] = []
        while self._held:
            if self._inside:
                if not self._think(thought):
                    break
            elif not self._open():
                break
        if self.done:
            text, self._held = self._held, ""
            return "".join(thought), text
        return "".join(thought), ""

    def close(self) -> tuple[str, str]:
        """The rest of the thinking and of the visible text: nothing follows."""
        held, self._held, done = self._held, "", self.done
        self.done = True
        if done or not held:
            return "", ""
        if self._inside:
            self._head.append(held)
            return held, ""
        return "", self._text(held)

    def _think(self, thought: list[str]) -> bool:
        """Take all that is certainly thinking; return whether its end has come."""
        piece, tag, rest = self._held.partition(CLOSE)
        if not tag:
            # The last characters may be the tag's beginning.
            end = len(self._held) - _beginning_of(CLOSE, self._held)
            piece, rest = self._held[:end], self._held[end:]
        thought.append(piece)
        self._head.append(piece + tag)
        self._held, self._inside = rest, not tag
        return bool(tag)

    def _open(self) -> bool:
        """Take an opening tag; return whether there is one."""
        bare = self._held.lstrip()
        blanks = self._held[: len(self._held) - len(bare)]
        if bare.startswith(OPEN):
            self._head.append(blanks + OPEN)
            self._held, self._inside = bare[len(OPEN) :], True
            return True
        if not OPEN.startswith(bare):
            self.done = True
            self._held = self._text(self._held)
        return False

    def _text(self, held: str) -> str:
        """The text that begins here; blanks after a closed tag belong to the tag."""
        if not self._head:
            return held
        bare = held.lstrip()
        self._head.append(held[: len(held) - len(bare)])
        return bare


def _beginning_of(tag: str, text: str) -> int:
    """How many of the text's last characters the tag may begin with."""
    return next((length for length in range(len(tag) - 1, 0, -1) if text.endswith(tag[:length])), 0)
