"""The collaborators of the routes, without the application around them."""

from pathlib import Path

import pytest

from manage_api.sidecar import Sidecar
from shared.config.watch import Watch
from shared.security.secrets import load_secret
from shared.store.engine import Engine
from tests.manage_api.world import ManualClock


@pytest.fixture
def sidecar(environ: dict[str, str], store: Engine, clock: ManualClock, tmp_path: Path) -> Sidecar:
    return Sidecar(
        store=store, watch=Watch(environ), secret=load_secret(tmp_path / "data"), clock=clock
    )
