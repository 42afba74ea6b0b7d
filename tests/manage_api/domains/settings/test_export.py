"""What is exported is read as what ran, and looks as a person would have written it."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

from manage_api.domains.settings.export import export_config
from shared.config.layers import Base, Effective, combine
from shared.config.load import load
from shared.config.overrides import EDITABLE, DatabaseUpstream, Overrides
from shared.config.schema import ModelRewrite, Timeouts
from shared.errors import ThinkbackError

EXAMPLE = (Path(__file__).parents[4] / "config.example.toml").read_text()
SETTINGS = {
    "server.public_url": "https://llm.example.com",
    "recall.max_mib": 5,
    "registration.allowed": False,
    "registration.invite_codes": ["one", 't"w\\o'],
    "audit.mode": "off",
}
UPSTREAM = DatabaseUpstream(
    id=7,
    name='mi"mo',
    base_url="https://api.example.com/v1",
    api_keys=("sk-first-key-1111", "sk-second-key-2222"),
    models=("a", "b"),
    path="/chat",
    model_rewrites=(
        ModelRewrite(from_="x", to="y"),
        ModelRewrite(from_pattern=r"^a(\d)$", to_template="b{1}"),
    ),
    profile="mimo",
    headers={"X-Team": "blue", "X-Api-Key": "hidden-value"},
    timeouts=Timeouts(idle=2.5),
)
STORED = Overrides(
    settings=SETTINGS,
    upstreams=(
        UPSTREAM,
        DatabaseUpstream(id=8, name="bare", base_url="http://127.0.0.1:8000", local=True),
    ),
)
FILES = {
    "nothing": "",
    "the example": EXAMPLE,
    "some of it": '# mine\n[audit] # what\nmax_mib = 9 # little\n#mode = "full"\n\n[logging]\nlevel = "debug"\n',
    "upstreams": """
[[upstreams]]
name = "x"
base_url = "https://x.y"
[[upstreams.model_rewrites]]
from = "a"
to = "b"
""",
    "an old upstream": '[upstream]\nbase_url = "https://x.y"\napi_key = "sk-key-of-the-file"\n',
    "no line end": "[recall]\nmax_age_days = 3",
    "Windows": "[recall]\r\nmax_age_days = 3\r\n",
}

WITH_SECRETS = """
[[upstreams]]
name = "x"
base_url = "https://x.y"
api_keys = ["sk-key-of-the-file", "sk-another-key-9999"] # ours
headers = { Authorization = "Bearer of-the-file", X-Team = "red" }
[upstream]
base_url = "https://z.y"
api_key = "sk-key-of-the-file"
"""
SECRETS = ("first-key", "second-key", "hidden-value", "of-the-file", "another")


def running(text: str, overrides: Overrides = STORED) -> Effective:
    return combine(
        Base(tomllib.loads(text) if "[upstream]" not in text else {}, frozenset()), overrides
    )


def export(text: str, *, with_keys: bool = True, overrides: Overrides = STORED) -> str:
    effective = running(text, overrides)
    return export_config(text, effective.snapshot, effective.sources, with_keys=with_keys)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return tmp_path / "config.toml"


@pytest.mark.parametrize("text", FILES.values(), ids=FILES)
def test_what_is_exported_is_read_as_what_ran(text: str, config: Path) -> None:
    config.write_text(export(text))

    snapshot = load({"CONFIG_PATH": str(config)})

    sections = (
        snapshot.server,
        snapshot.recall,
        snapshot.registration,
        snapshot.audit,
        snapshot.logging,
    )
    expected = running(text).snapshot
    assert sections == (
        expected.server,
        expected.recall,
        expected.registration,
        expected.audit,
        expected.logging,
    )
    mimo = next(upstream for upstream in snapshot.upstreams if upstream.name == UPSTREAM.name)
    assert {name: getattr(mimo, name) for name in mimo.__struct_fields__} == {
        name: getattr(UPSTREAM, name) for name in mimo.__struct_fields__
    }


@pytest.mark.parametrize("text", FILES.values(), ids=FILES)
def test_no_line_of_the_file_is_lost_but_the_ones_replaced(text: str) -> None:
    kept = set(export(text).splitlines())

    lost = [line for line in text.splitlines() if line not in kept]

    assert [line for line in lost if not line.startswith("#") or "=" not in line] == []


def test_a_commented_setting_is_written_where_it_stood() -> None:
    lines = export(EXAMPLE).splitlines()

    before = EXAMPLE.splitlines()
    assert lines[before.index('#mode = "last"')] == 'mode = "off"'
    assert lines[before.index('#public_url = ""')] == 'public_url = "https://llm.example.com"'


def test_a_setting_comes_below_its_header_and_is_explained() -> None:
    text = export(
        "[audit] # mine\nmax_mib = 9\n", overrides=Overrides(settings={"audit.mode": "off"})
    )

    assert text == f'[audit] # mine\n# {EDITABLE["audit.mode"]}\nmode = "off"\nmax_mib = 9\n'


def test_nothing_stored_changes_nothing() -> None:
    assert export(EXAMPLE, overrides=Overrides()) == EXAMPLE


def test_what_the_file_sets_stays() -> None:
    assert (
        export('[audit]\nmode = "full"\n', overrides=Overrides(settings={"audit.mode": "off"}))
        == '[audit]\nmode = "full"\n'
    )


def test_without_permission_no_secret_is_written(config: Path) -> None:
    effective = combine(Base({}, frozenset()), STORED)

    text = export_config(WITH_SECRETS, effective.snapshot, effective.sources, with_keys=False)

    assert not [secret for secret in SECRETS if secret in text]
    assert "PUT-KEY-2-HERE-IT-ENDS-IN-9999" in text
    assert "# ours" in text
    config.write_text(text)
    assert [
        len(upstream.api_keys) for upstream in load({"CONFIG_PATH": str(config)}).upstreams
    ] == [2, 2, 0, 1]


@pytest.mark.parametrize(
    ("text", "overrides"),
    [
        ("audit.max_mib = 9\n", {"settings": {"audit.mode": "off"}}),
        ("audit = { max_mib = 9 }\n", {"settings": {"audit.mode": "off"}}),
        (
            '[registration]\ninvite_codes = ["""\n[audit]\n"""]\n',
            {"settings": {"audit.mode": "off"}},
        ),
        ('upstreams = [{ name = "x", base_url = "https://x.y" }]\n', {"upstreams": (UPSTREAM,)}),
    ],
    ids=["dotted", "inline", "a header in a text", "a list"],
)
def test_a_file_that_lines_cannot_be_added_to_is_said(text: str, overrides: dict[str, Any]) -> None:
    with pytest.raises(ThinkbackError, match="Can't add to"):
        export(text, overrides=Overrides(**overrides))
