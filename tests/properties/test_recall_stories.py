"""Recall never lies, whatever clients do to their conversations: stories over all carriers and
formats, told from seeds and judged request by request.

`SEEDS=5000` tells more of them than CI does, `SEED=63` one alone. A story that breaks a promise
is told as far as it matters.
"""

import json
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from tests.properties.recall.stories import ALTERATIONS, CELLS, Story, cell_of
from tests.properties.recall.truth import MARK

SEEDS = int(os.environ.get("SEEDS", "300"))
ALONE = os.environ.get("SEED", "")
TOGETHER = 20
"""Stories of one test."""

CLAIMS = 30
"""Turns of a story, on average, whose reasoning must come back: fewer judge nothing."""

BATCHES = [range(first, min(first + TOGETHER, SEEDS)) for first in range(0, SEEDS, TOGETHER)]
if ALONE:
    BATCHES = [range(int(ALONE), int(ALONE) + 1)]


def told(seed: int, folder: Path) -> Story:
    story = Story(seed, folder / f"{seed}.db")
    story.tell()
    return story


@pytest.mark.parametrize("seeds", BATCHES, ids=lambda seeds: f"{seeds[0]}-{seeds[-1]}")
def test_no_story_makes_recall_lie(tmp_path: Path, seeds: range) -> None:
    stories = [told(seed, tmp_path) for seed in seeds]
    broken = [story.account() for story in stories if story.violations]
    if broken:
        pytest.fail("\n\n".join(broken), pytrace=False)
    claims = sum(story.judge.claims.total() for story in stories)
    assert ALONE or claims > CLAIMS * len(seeds)


def test_the_seeds_of_ci_meet_every_cell_and_every_alteration() -> None:
    met = [cell_of(seed) for seed in range(500)]
    cells = Counter((wire, kind) for wire, kind, _ in met)
    leads = Counter(lead for _, _, lead in met)
    assert set(cells) == set(CELLS)
    assert set(leads) == set(ALTERATIONS)
    assert min(cells.values()) >= 10
    assert min(leads.values()) >= 8


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Story:
    """A story of clients that keep ids, over an upstream whose reasoning is a plain string."""
    seed = [cell_of(seed) for seed in range(500)].index(("chat", "deepseek-v4", "forked"))
    story = told(seed, tmp_path_factory.mktemp("plain"))
    assert story.latest is not None
    story.latest.talk.history.pop()  # the answer
    return story


def kinds(story: Story, change: Callable[[str, str], str]) -> set[str]:
    """What the judge says of the last request, its last turn's reasoning changed; the change
    gets the turn's mark, and the text of the request.
    """
    assert story.latest is not None
    turn = next(one for one in reversed(story.latest.places) if one.owners).held.issued[0]
    [mark] = MARK.findall(turn.turn.reasoning or "")
    changed = change(mark, json.dumps(story.latest.outgoing))
    found = story.judge.judge(msgspec.structs.replace(story.latest, outgoing=json.loads(changed)))
    return {violation.kind for violation in found}


def mark_of(story: Story, user: str) -> str:
    """The mark of the first turn of a user's that has reasoning."""
    reasonings = (one.turn.reasoning for one in story.judge.oracle.issued if one.user == user)
    return next(found[0] for found in map(MARK.search, filter(None, reasonings)) if found)


def test_the_judge_sees_the_reasoning_of_another_turn(plain: Story) -> None:
    other = mark_of(plain, "ada")
    assert kinds(plain, lambda mark, sent: sent.replace(mark, other)) == {"crossed", "not exact"}


def test_the_judge_sees_the_reasoning_of_another_user(plain: Story) -> None:
    other = mark_of(plain, "eve")
    assert "crossed user" in kinds(plain, lambda mark, sent: sent.replace(mark, other))


def test_the_judge_sees_reasoning_that_is_altered(plain: Story) -> None:
    assert kinds(plain, lambda mark, sent: sent.replace(mark, mark + " ")) == {"not exact"}


def test_the_judge_finds_nothing_wrong_with_what_is_right(plain: Story) -> None:
    assert kinds(plain, lambda mark, sent: sent) == set()
