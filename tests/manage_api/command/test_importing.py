"""`thinkback import` says what came over from another gateway, and what did not."""

import json
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner
from pysqlite3 import dbapi2

from manage_api.command.cli import main
from shared.security.keys import digest
from shared.security.passwords import hash_password
from shared.store import open_engine
from shared.store.accounts import find_user_by_name
from shared.store.virtual_keys import find_key
from tests.manage_api.command.running import Command
from tests.support.reasoning_cache import write_cache
from tests.support.turns import FIELD, Json

HASH = hash_password("correct horse battery")
LONG = "I have read the whole file and changed the three places that were wrong in it."


@pytest.fixture
def thinkback(tmp_path: Path) -> Command:
    return Command(tmp_path)


def said(reasoning: str, text: str) -> Json:
    return {"role": "assistant", "content": text, FIELD: reasoning}


def report_of(thinkback: Command, *arguments: str, **environ: str) -> Json:
    done = thinkback("import", *arguments, "--json", **environ)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def test_a_cache_is_taken_for_one_user(thinkback: Command, tmp_path: Path) -> None:
    write_cache(tmp_path / "cache.sqlite3", [said("thought", LONG), said("thought", "OK.")])
    report = {
        "source": "a cache of deepseek-cursor-proxy",
        "taken": ["Turns with their reasoning, for admin: 1"],
        "left_out": [
            "Turns without an id of their own and with little text, which could be mistaken for "
            "others: 1"
        ],
        "asks": False,
    }

    assert report_of(thinkback, "cache.sqlite3", "--dry-run") == report
    assert report_of(thinkback, "cache.sqlite3") == report
    words = thinkback("import", "cache.sqlite3", "--dry-run")
    assert words.stdout.splitlines()[:2] == [
        "This is a cache of deepseek-cursor-proxy.",
        "Would come over:",
    ]


def test_a_folder_that_is_named_like_ours_is_not_run(thinkback: Command, tmp_path: Path) -> None:
    write_cache(tmp_path / "cache.sqlite3", [said("thought", LONG)])
    (tmp_path / "addon").mkdir()
    (tmp_path / "addon/__init__.py").write_text("raise SystemExit('not ours')")

    done = thinkback.outside("import", "cache.sqlite3", "--dry-run", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["taken"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"anything", "is nothing that Thinkback can take over"),
        (b"SQLite format 3\0 but no more", "Can't read the database"),
    ],
)
def test_another_file_is_refused_in_words(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "other").write_bytes(content)
    done = CliRunner().invoke(main, ["import", str(tmp_path / "other")])

    assert (done.exit_code, done.stdout) == (1, "")
    assert said in done.stderr


def test_an_unknown_account_is_named(thinkback: Command, tmp_path: Path) -> None:
    write_cache(tmp_path / "cache.sqlite3", [said("thought", LONG)])
    done = thinkback("import", "cache.sqlite3", "--user", "eve")

    assert done.returncode == 1
    assert "no account “eve”" in done.stderr


LITELLM = """
model_list:
  - model_name: gpt-4o
    litellm_params:
      model: azure/gpt-4o-eu
      api_base: https://my-endpoint-europe.openai.azure.com/
      api_key: os.environ/AZURE_API_KEY_EU
      api_version: "2024-10-21"
      rpm: 6
  - model_name: local
    litellm_params:
      model: openai/qwen3
      api_base: http://127.0.0.1:8000/v1
      api_key: none
"""


def test_litellms_upstreams_are_added_once(thinkback: Command, tmp_path: Path) -> None:
    (tmp_path / "litellm.yaml").write_text(LITELLM)
    added = [
        "upstream azure (https://my-endpoint-europe.openai.azure.com/openai/deployments/{model}): "
        "gpt-4o, gpt-4o-eu"
    ]
    arguments = ("litellm.yaml",)
    dry = report_of(thinkback, *arguments, "--dry-run", AZURE_API_KEY_EU="k-1")
    report = report_of(thinkback, *arguments, AZURE_API_KEY_EU="k-1")

    assert dry == report
    assert report["taken"] == added
    assert report["left_out"] == ["gpt-4o: rpm", "openai: without TLS only in a file (--toml)"]
    again = report_of(thinkback, *arguments, AZURE_API_KEY_EU="k-1")
    assert (again["taken"], again["left_out"][1]) == (
        [],
        "azure: there is an upstream of this name",
    )
    assert "gpt-4o-eu" in thinkback("export").stdout


def test_upstreams_are_written_to_a_file_that_is_a_configuration(
    thinkback: Command, tmp_path: Path
) -> None:
    (tmp_path / "litellm.yaml").write_text(LITELLM)
    report = report_of(thinkback, "litellm.yaml", "--toml", "config.toml")

    assert len(report["taken"]) == 2
    checked = thinkback("check")
    assert checked.returncode == 0, checked.stderr
    assert "http://127.0.0.1:8000/v1" in checked.stdout


def test_new_apis_channels_are_added(thinkback: Command, tmp_path: Path) -> None:
    channel = {"type": 43, "name": "Deep", "key": "sk-1", "models": "deepseek-chat", "status": 1}
    (tmp_path / "channels.json").write_text(json.dumps({"data": {"items": [channel]}}))

    assert report_of(thinkback, "channels.json")["taken"] == [
        "upstream Deep (https://api.deepseek.com/v1): deepseek-chat"
    ]


def test_the_original_adapters_config_is_used_as_it_is(thinkback: Command, tmp_path: Path) -> None:
    (tmp_path / "old.toml").write_text(
        '[server]\nlisten_addr = "127.0.0.1:9"\n[upstream]\nbase_url = "https://a.b"\napi_key = "k"\n'
    )
    report = report_of(thinkback, "old.toml")

    assert report["taken"][0] == "upstream upstream (https://a.b)"
    assert thinkback("check", CONFIG_PATH="old.toml").returncode == 0


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.yaml", "model_list: [", "Can't take over "),
        ("a.yaml", "x: 1", "it has no model_list"),
        ("a.json", "{}", "it has no list of channels"),
        ("a.json", "{", "Can't take over "),
        ("b.toml", "[servr]", "servr"),
        (".env", "BIG_MODEL=x", "beside config.toml"),
    ],
)
def test_a_file_that_is_not_what_its_name_says_is_refused(
    tmp_path: Path, name: str, content: str, said: str
) -> None:
    (tmp_path / name).write_text(content)
    done = CliRunner().invoke(main, ["import", str(tmp_path / name)])

    assert done.exit_code in (1, 2)
    assert said in done.stderr


def test_accounts_are_shown_first_and_taken_when_they_are_right(
    thinkback: Command, tmp_path: Path
) -> None:
    key = "sk-0123456789abcdefghij"
    with closing(dbapi2.connect(tmp_path / "old.db")) as opened, opened:
        opened.execute("CREATE TABLE users (name TEXT, hash TEXT, token TEXT)")
        row = [("ada", HASH, key), ("admin", HASH, key + "2")]
        opened.executemany("INSERT INTO users VALUES (?, ?, ?)", row)
    shown = report_of(thinkback, "old.db")
    assert shown["taken"] == ["account ada (users.name, users.hash), keys: …ghij"]
    assert [line.partition(":")[0] for line in shown["left_out"]] == ["Anything yet", "admin"]
    engine = open_engine(f"sqlite:{tmp_path}/data/adapter.db")
    assert find_user_by_name(engine, "ada") is None

    taken = report_of(thinkback, "old.db", "--yes")
    found = find_user_by_name(engine, "ada")
    owned = find_key(engine, digest(key))
    engine.close()
    assert taken["taken"] == shown["taken"]
    assert found is not None
    assert owned is not None
    assert (found[0].role, found[1], owned[1].username) == ("user", HASH, "ada")
