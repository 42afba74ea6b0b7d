"""The figures of secrets, callers and supply hold at the scale of the suite."""

from importlib import import_module

import pytest


@pytest.mark.parametrize("module", ["canaries", "isolation", "supply"])
def test_its_figures_hold(module: str) -> None:
    figures = list(import_module(f"tests.harden.{module}").figures())

    assert [figure.line() for figure in figures if not figure.ok] == []
    assert figures
