"""Whatever stands in the corpus is read, or refused in words."""

import pytest

from tests.fuzz.targets import CORPUS, TARGETS


@pytest.mark.parametrize("name", TARGETS)
def test_every_file_of_the_corpus_is_read(name: str) -> None:
    files = sorted((CORPUS / name).iterdir())
    assert len(files) > 10
    for file in files:
        TARGETS[name](file.read_bytes())


def test_the_corpus_is_small_and_of_these_targets() -> None:
    assert {folder.name for folder in CORPUS.iterdir()} == TARGETS.keys()
    assert sum(file.stat().st_size for file in CORPUS.rglob("*") if file.is_file()) < 200_000
