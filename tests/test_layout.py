"""Where things are: sources have tests, names shadow nothing, files stay short, imports go
one way.
"""

import ast
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("addon", "manage_api", "shared")
LONGEST = 500

DECLARES = "it only declares"
RUNS = "tests/e2e runs it in a real gateway"
WITHOUT_TWIN = {
    "addon/translation/read.py": "exchange/test_exchange_translated.py reads through it",
    "shared/store/many_nodes.py": "test_migrations.py has all steps applied",
    "addon/recall/gathered.py": "tests/properties/test_gathered.py resolves through it",
    "shared/store/write_ahead_log.py": "test_sqlite.py and test_writer.py have it flushed and moved",
    "addon/edge/http_layer.py": "test_stream.py and its neighbours drive it",
    "addon/formats/chat/error_body.py": "test_response.py and test_patch_stream.py read through it",
    "addon/formats/neutral/deltas.py": DECLARES,
    "addon/formats/tolerant/items.py": (
        "responses/test_items.py reads through it what is written there"
    ),
    "addon/formats/tolerant/client_tools.py": "formats/test_client_tools.py has them called",
    "addon/formats/messages/output.py": "test_writer.py reads what its blocks say",
    "addon/formats/messages/patch_blocks.py": "test_patch_request.py has blocks patched",
    "addon/formats/messages/patch_messages.py": "test_patch_request.py has messages patched",
    "addon/formats/responses/output.py": "test_writer.py reads what its items say",
    "addon/formats/responses/output_items.py": "test_writer.py reads what the items say",
    "addon/edge/__main__.py": RUNS,
    "addon/edge/leaving.py": "test_restarts.py in tests/e2e has a real gateway leave",
    "addon/main.py": RUNS,
    "addon/formats/neutral/member_rules.py": DECLARES,
    "addon/edge/plan.py": DECLARES,
    "addon/edge/coming.py": "test_llm_stream.py has bodies come and make room",
    "addon/translation/abilities.py": "test_losses.py and exchange/ read what is sent by it",
    "addon/translation/across_formats.py": "exchange/test_exchange_translated.py speaks through it",
    "addon/translation/pair.py": DECLARES,
    "manage_api/__main__.py": RUNS,
    "manage_api/command/__main__.py": RUNS,
    "manage_api/command/child.py": "test_supervise.py has children live and end",
    "manage_api/domains/account/schemas.py": DECLARES,
    "manage_api/domains/audit/schemas.py": DECLARES,
    "manage_api/domains/doctor/conversations.py": "test_doctor.py in tests/e2e leads them",
    "manage_api/domains/doctor/door.py": "test_cursor.py and tests/e2e/test_doctor.py ask through it",
    "manage_api/domains/doctor/installation.py": DECLARES,
    "manage_api/domains/doctor/live.py": "test_doctor.py in tests/e2e has a real gateway asked",
    "manage_api/domains/doctor/outside.py": "test_doctor.py in tests/e2e looks at a real gateway",
    "manage_api/domains/doctor/streaming.py": "test_doctor.py in tests/e2e looks at a real gateway",
    "manage_api/domains/doctor/service.py": "command/test_doctor_command.py runs all of it",
    "manage_api/domains/keys/schemas.py": DECLARES,
    "manage_api/domains/lessons/schemas.py": DECLARES,
    "manage_api/domains/prices/schemas.py": DECLARES,
    "manage_api/domains/prices/service.py": "test_controller.py lists prices through it",
    "manage_api/domains/requests/schemas.py": DECLARES,
    "manage_api/domains/second_factor/schemas.py": DECLARES,
    "manage_api/domains/second_factor/service.py": "test_controller.py signs in through it",
    "manage_api/domains/session/schemas.py": DECLARES,
    "manage_api/domains/settings/schemas.py": DECLARES,
    "manage_api/domains/settings/service.py": (
        "test_controller.py reads and changes settings through it"
    ),
    "manage_api/domains/session/service.py": "test_controller.py logs in through it",
    "manage_api/domains/system/schemas.py": DECLARES,
    "manage_api/domains/upstreams/schemas.py": DECLARES,
    "manage_api/domains/usage/schemas.py": DECLARES,
    "addon/exchange/services.py": DECLARES,
    "addon/exchange/verdict.py": DECLARES,
    "addon/exchange/arrival.py": "test_exchange.py reads what it tells",
    "addon/exchange/current_attempt.py": "test_exchange_failover.py and _repair.py move it on",
    "addon/exchange/upstream_bodies.py": (
        "exchange/test_exchange_repair.py and _messages.py have bodies made"
    ),
    "manage_api/domains/usage/service.py": "test_controller.py asks it for the days",
    "manage_api/domains/users/schemas.py": DECLARES,
    "manage_api/access/guards.py": "tests/manage_api/domains call guarded routes",
    "manage_api/sidecar.py": RUNS,
    "shared/clock.py": DECLARES,
    "shared/config/overrides.py": DECLARES,
    "shared/errors.py": DECLARES,
    "shared/model.py": DECLARES,
    "shared/store/engine.py": DECLARES,
}


def python_files(*packages: str) -> list[Path]:
    return sorted(
        path.relative_to(ROOT) for package in packages for path in (ROOT / package).rglob("*.py")
    )


def does_something(source: Path) -> bool:
    """Whether there is more in it than its docstring."""
    return len(ast.parse((ROOT / source).read_text()).body) > 1


def twin(source: Path) -> Path:
    return Path("tests", source.parent, f"test_{source.name.replace('__init__', 'init')}")


@pytest.mark.parametrize(
    "source", [path for path in python_files(*PACKAGES) if does_something(path)], ids=str
)
def test_a_source_has_a_twin_or_a_reason_to_have_none(source: Path) -> None:
    assert (ROOT / twin(source)).exists() != (source.as_posix() in WITHOUT_TWIN)


def test_reasons_are_given_for_what_is_there() -> None:
    assert [source for source in WITHOUT_TWIN if not (ROOT / source).exists()] == []


def test_every_folder_of_tests_is_a_package() -> None:
    folders = {path.parent for path in python_files("tests")}
    assert [folder for folder in folders if not (ROOT / folder / "__init__.py").exists()] == []


def test_no_module_of_the_addon_shadows_another() -> None:
    # mitmproxy puts the folder of its script first on sys.path, for the whole process.
    ours = {path.stem for path in (ROOT / "addon").iterdir() if path.suffix in ("", ".py")}
    assert ours & (sys.stdlib_module_names | packages_distributions().keys()) == set()


def test_every_file_is_short_enough_to_be_read() -> None:
    lengths = {
        path: len((ROOT / path).read_text().splitlines())
        for path in python_files(*PACKAGES, "tests")
    }
    assert {path: length for path, length in lengths.items() if length > LONGEST} == {}


def test_imports_go_in_the_agreed_directions() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
