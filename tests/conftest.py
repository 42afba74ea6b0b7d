"""What every test may use."""

from collections.abc import Iterator

import pytest

from tests.support.provider import StrictProvider


@pytest.fixture
def provider() -> Iterator[StrictProvider]:
    """A strict provider of the test's own that speaks DeepSeek's dialect and takes the key
    `sk-good`.
    """
    with StrictProvider() as running:
        yield running
