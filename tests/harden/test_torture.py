"""Whatever call fails while a request is served: its client has an end, and nothing is held."""

from collections.abc import Iterator

import pytest

from tests.addon.edge.scene import Scene
from tests.harden.stories import STORIES
from tests.harden.torture import OURS, scene_of_one, torture

NAMED = {story.name: story for story in STORIES}


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    with scene_of_one() as made:
        yield made


@pytest.mark.parametrize("name", ["chat streamed", "a stranger", "a page"])
def test_a_call_that_fails_forwards_hangs_and_leaks_nothing(scene: Scene, name: str) -> None:
    sites, faults = torture(scene, NAMED[name], *OURS)
    assert sites > 100
    assert faults == []
