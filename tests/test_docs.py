"""What the documentation says is what the code does."""

import re
import tomllib
from itertools import pairwise
from operator import attrgetter
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import inspect

from shared.config.draft import ENVIRONMENT, UPSTREAM_ENVIRONMENT
from shared.config.load import load
from shared.config.schema import PROFILE_NAMES, ModelRewrite, Snapshot, Timeouts, Upstream
from shared.errors import ConfigError

ROOT = Path(__file__).parents[1]
CONFIGURATION = (ROOT / "docs/configuration.md").read_text()
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text()
EXAMPLE = (ROOT / "config.example.toml").read_text()
EVERY_KEY = re.sub(r"^#(?=[a-z\[])", "", EXAMPLE, flags=re.MULTILINE)


def fields(struct: type) -> dict[str, inspect.Field]:
    kind = inspect.type_info(struct)
    assert isinstance(kind, inspect.StructType)
    return {field.encode_name: field for field in kind.fields}


def sections() -> dict[str, type]:
    """The headings of the file's tables in the documentation."""
    tables = {
        f"[{name}]": field.type.cls for name, field in fields(Snapshot).items() if is_table(field)
    }
    lists = {
        "[[upstreams]]": Upstream,
        "[[upstreams.model_rewrites]]": ModelRewrite,
        "[upstreams.timeouts]": Timeouts,
    }
    return tables | lists


def is_table(field: inspect.Field) -> bool:
    return isinstance(field.type, inspect.StructType)


def rows(heading: str) -> dict[str, str]:
    """First and second column of the table below a heading."""
    text = CONFIGURATION.split(f"# {heading}\n")[1].split("\n#")[0]
    return dict(re.findall(r"^\| `(.+?)` \| (.*?) \|", text, flags=re.MULTILINE))


def written(default: Any) -> str:
    """A default as TOML writes it."""
    return (
        str(default)
        if isinstance(default, dict)
        else msgspec.json.encode(default).decode().replace(",", ", ")
    )


def plain(settings: Snapshot | Upstream) -> dict[str, Any]:
    return msgspec.json.decode(msgspec.json.encode(settings))


def default_of(field: inspect.Field) -> Any:
    return field.default_factory() if field.default is msgspec.NODEFAULT else field.default


@pytest.mark.parametrize("heading", sections())
def test_every_key_of_the_file_is_documented(heading: str) -> None:
    keys = fields(sections()[heading])

    documented = rows(f"`{heading}`")

    assert documented.keys() == keys.keys()


@pytest.mark.parametrize("heading", sections())
def test_a_documented_default_is_the_real_one(heading: str) -> None:
    prose = {
        "timeouts": "below",
        "from": "none",
        "to": "none",
        "from_pattern": "none",
        "to_template": "none",
    }
    optional = {
        key: field for key, field in fields(sections()[heading]).items() if not field.required
    }

    documented = rows(f"`{heading}`")

    for key, field in optional.items():
        assert documented[key] == prose.get(key, f"`{written(default_of(field))}`")


def test_every_environment_variable_is_documented() -> None:
    assert rows("Environment variables").keys() == ENVIRONMENT.keys() | UPSTREAM_ENVIRONMENT.keys()


@pytest.mark.parametrize(("name", "setting"), ENVIRONMENT.items(), ids=ENVIRONMENT)
def test_a_documented_environment_default_is_the_real_one(name: str, setting: str) -> None:
    default = attrgetter(setting)(Snapshot())

    documented = rows("Environment variables")[name]

    assert documented.strip("`") in (
        {"none", "random"} if default == "" else {written(default).strip('"')}
    )


@pytest.mark.parametrize("profile", PROFILE_NAMES)
def test_every_profile_is_documented(profile: str) -> None:
    assert f"`{profile}`" in CONFIGURATION
    assert re.search(rf"\b{profile}\b", EXAMPLE)


def test_the_endpoint_table_is_what_happens() -> None:
    table = CONFIGURATION.split("# From base URL to endpoint")[1].split("\n#")[0]
    examples = re.findall(r"^\| `(.+?)` \| (?:`(.+?)`)? ?\| `(.+?)` \|", table, flags=re.MULTILINE)

    for base_url, path, endpoint in examples:
        upstream = Upstream(name="any", base_url=base_url, path=path)
        assert f"{upstream.scheme}://{upstream.host}{upstream.request_path}" == endpoint
    assert len(examples) == 3


def test_the_documented_problems_are_what_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("config.toml").write_text(
        '[logging]\ncolor = "auto"\n[[upstreams]]\nname = "a"\nbase_url = "api.deepseek.com"\napi_kyes = ["sk-1"]\n'
    )

    with pytest.raises(ConfigError) as refused:
        load({"LOG_LEVEL": "warn"})

    assert f"```\n{refused.value}\n```" in CONFIGURATION


def test_the_example_as_it_stands_changes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text(EXAMPLE)

    assert load({"CONFIG_PATH": str(file)}) == Snapshot(config_path=str(file))


def test_the_example_can_be_uncommented(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text(EVERY_KEY)

    [upstream] = load({"CONFIG_PATH": str(file)}).upstreams

    assert [rewrite.source for rewrite in upstream.model_rewrites] == [
        "gpt-5.3-codex",
        "^gpt-(.*)$",
    ]


def test_the_example_shows_every_setting_with_its_default() -> None:
    shown = tomllib.loads(EVERY_KEY)

    defaults = plain(Snapshot())
    for table in (name for name, field in fields(Snapshot).items() if is_table(field)):
        assert shown[table] == defaults[table]


def test_the_example_shows_every_key_of_an_upstream_with_its_default() -> None:
    [shown] = tomllib.loads(EVERY_KEY)["upstreams"]
    rewrites = shown.pop("model_rewrites")

    defaults = plain(Upstream(name="", base_url=""))
    samples = {"name", "base_url", "api_keys"}
    assert {**shown, "model_rewrites": []} == {**defaults, **{key: shown[key] for key in samples}}
    assert {key for rewrite in rewrites for key in rewrite} == fields(ModelRewrite).keys()


def test_the_example_names_the_settings_that_only_the_environment_has() -> None:
    for name, setting in ENVIRONMENT.items():
        assert "." in setting or name in EXAMPLE


def test_every_option_in_mitm_toml_is_explained() -> None:
    lines = (ROOT / "mitm.toml").read_text().splitlines()

    unexplained = [
        line for before, line in pairwise(lines) if " = " in line and not before.startswith("#")
    ]

    assert unexplained == []


PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]
PAGES += sorted((ROOT / "docs").glob("*.md"))


def anchors(page: Path) -> set[str]:
    """What the page's headings are linked by, as GitHub makes it."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for text in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_to_a_file_and_a_heading_in_it(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)", page.read_text())

    for file, heading in links:
        target = page.parent / file if file else page
        assert target.exists()
        assert not heading or heading in anchors(target)


@pytest.mark.parametrize("path", sorted(set(re.findall(r"`([\w.]+/[\w./]+)`", CONTRIBUTING))))
def test_every_path_in_the_guide_for_contributors_exists(path: str) -> None:
    assert (ROOT / path).exists()
