"""What each row of the table has to reach at most, why, and what may miss it."""

from collections.abc import Mapping

# Rooms, floors, arrows, arrows that run back up: what the agreed layout has. More is a decision.
ADDON = (12, 7, 29, 0)
FORMATS = (9, 6, 24, 0)
MANAGE_API = (13, 8, 28, 0)

CYCLES = 0
"""A module in a cycle can be neither understood nor moved alone."""

LAYERS = (7, 12)
"""Lines and names of the contract over addon/: a line for each floor, a name for each room."""

OUTSIDE_EDGE = 0
"""An exemption would give a mitmproxy upgrade a second address."""

CLASS = (20, 12)
"""Methods and fields. The aim is about 14 and 9; a stream's states may need a few more."""

NOT_NONE_ASSERTS = 5
"""Each stands for a state that the types do not express."""

CONDITIONALS = 12
"""For 1,000 lines. httpx has 11, starlette 7."""

NESTED_CONDITIONALS = 0
"""Nobody reads a condition within a condition at once."""

CROWDED_LINES = 0
"""A line decides one thing."""

LINE_P90 = 88
"""Characters. httpx, h11 and starlette have 71 to 77."""

LINE_LENGTH = 100
"""Characters that ruff lets pass; two files fit side by side."""

FILE_LINES = 500
"""Blank ones too, as tests/test_layout.py counts them."""

LONG_FILES = 0
"""tests/test_layout.py refuses them as well."""

FUNCTION_MEDIAN = 8
"""Lines of a body."""

UNANNOTATED = 0
"""mypy is strict."""

EXPLAINED: Mapping[str, str] = {}
"""Reasons why a row may miss its goal, by the row's name."""
