"""An installation for the doctor to look at."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from manage_api.domains.doctor.installation import Installation
from shared.config.schema import Snapshot
from shared.security.secrets import load_secret
from shared.store.engine import Engine
from tests.manage_api.world import ManualClock

type Install = Callable[..., Installation]


@pytest.fixture
def install(store: Engine, clock: ManualClock, tmp_path: Path) -> Install:
    """Makes an installation over the test's database; fields of its snapshot may be given."""

    def make(**fields: Any) -> Installation:
        snapshot = Snapshot(
            database_url=f"sqlite:{tmp_path}/data/adapter.db",
            config_path=str(tmp_path / "config.toml"),
            **fields,
        )
        return Installation(
            snapshot=snapshot,
            store=store,
            secret=load_secret(tmp_path / "data"),
            clock=clock,
            version="1.0",
        )

    return make
