"""Fetch the files of others that browsers get from us, at pinned versions (`make vendor`;
needs npm).

What comes out is committed, so nobody else needs npm or another host. To take a new
version, change it here, put in the integrity that `npm view PACKAGE@VERSION dist.integrity`
tells, run, and delete the old folder.
"""

import base64
import hashlib
import subprocess
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
SERVED = ROOT / "manage_api/web/static/vendor"
TESTED_WITH = ROOT / "tests/browser/vendor"


class Package(NamedTuple):
    """A package of npm, and which of its files go to `<folder>/<name>-<version>/`."""

    name: str
    version: str
    integrity: str
    files: tuple[str, ...]
    folder: Path = SERVED


PACKAGES = (
    Package(
        "@tabler/core",  # comes without its licence: LICENSE beside it is written by hand
        "1.6.1",
        "sha512-lgmR9gcxRp5JlLxcmRi9Rz85JrEvH6Bz71KnlcPVSa97wtwQNjgSs3g3fxwbAlulHyRMghhIV04QUuW3pqDsIg==",
        ("dist/css/tabler.min.css",),
    ),
    Package(
        "axe-core",
        "4.14.1",
        "sha512-FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ==",
        ("axe.min.js", "LICENSE", "LICENSE-3RD-PARTY.txt"),
        TESTED_WITH,
    ),
    Package(
        "chart.js",
        "4.6.1",
        "sha512-hJyniucsFmq//EvXYvJ6c6mahPoI3kaxdjVH8awTaJ/fDNWeSqqqArixMJWkWNN6fcYvPU3HneSANFNYtRi61g==",
        ("dist/chart.umd.min.js", "LICENSE.md"),
    ),
    Package(
        "htmx.org",
        "4.0.1",
        "sha512-oF7JgXhDW9UXCy/k1ZYFUQgzu/rm19ORWPSPNL91vPluB2PB9+MV55tyQdH/w7o2EAbTYUG5SDW1R60mdkdqGg==",
        ("dist/htmx.min.js", "dist/ext/hx-sse.min.js", "LICENSE"),
    ),
    Package(
        "swagger-ui-dist",
        "5.35.0",
        "sha512-U06rpMtW9V3XPGOBeamTUSr0Z09jMX4IJuANpE/EZbAhw0G8CgwrzU4YmXkn/h0wCDNsXdGarTNNHC3sU8yVUQ==",
        (
            "swagger-ui.css",
            "swagger-ui-bundle.js",
            "swagger-ui-bundle.js.LICENSE.txt",
            "LICENSE",
            "NOTICE",
        ),
    ),
)


def main() -> None:
    """Write every package's folder, or stop at the first that is not what it was."""
    for package in PACKAGES:
        target = (
            package.folder / f"{package.name.replace('@', '').replace('/', '-')}-{package.version}"
        )
        print(target.relative_to(ROOT))
        with TemporaryDirectory() as work:
            unpack(fetch(package, Path(work)), package.files, target)


def fetch(package: Package, work: Path) -> Path:
    """The package's archive, as npm's registry has it."""
    wanted = f"{package.name}@{package.version}"
    subprocess.run(
        ["npm", "pack", "--silent", "--pack-destination", work, wanted],
        check=True,
        capture_output=True,
    )
    [archive] = work.iterdir()
    integrity = "sha512-" + base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    if integrity != package.integrity:
        raise SystemExit(f"{wanted} is not the package it was: its integrity is {integrity}.")
    return archive


def unpack(archive: Path, files: tuple[str, ...], target: Path) -> None:
    """Put these files of an archive side by side into a folder."""
    target.mkdir(parents=True, exist_ok=True)
    with tarfile.open(archive) as packed:
        for file in files:
            found = packed.extractfile(f"package/{file}")
            assert found, f"{file} is a folder"
            (target / Path(file).name).write_bytes(found.read())


if __name__ == "__main__":
    main()
