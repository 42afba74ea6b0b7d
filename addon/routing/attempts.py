"""What was tried of a request's candidates."""

import msgspec

from addon.routing.candidates import Candidate

__all__ = ("Tried",)


class Tried(msgspec.Struct):
    """One attempt and what came of it: an HTTP status, or a word."""

    candidate: Candidate
    outcome: str = ""
