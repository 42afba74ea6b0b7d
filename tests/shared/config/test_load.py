from pathlib import Path

import pytest

from shared.config.load import config_path, load
from shared.config.schema import Snapshot, Upstream
from shared.errors import ConfigError
from tests.shared.config.conftest import ConfigFile


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("here")
def test_nothing_at_all_gives_the_defaults() -> None:
    assert load({}) == Snapshot()


def test_the_default_file_is_read_from_the_current_directory(here: Path) -> None:
    (here / "config.toml").write_text("[recall]\nmax_mib = 5\n")

    assert load({}).recall.max_mib == 5


def test_a_named_file_has_to_exist(config: ConfigFile) -> None:
    with pytest.raises(ConfigError) as refused:
        load({"CONFIG_PATH": str(config.path), "LOG_COLOR": "pink"})

    assert str(refused.value).splitlines() == [
        f"environment: CONFIG_PATH: there is no file {config.path}: create it or unset CONFIG_PATH",
        "environment: LOG_COLOR: must be one of always, auto, never",
    ]


@pytest.mark.usefixtures("here")
def test_an_empty_path_is_an_unset_one() -> None:
    assert config_path({"CONFIG_PATH": ""}) == "./config.toml"
    assert load({"CONFIG_PATH": ""}) == Snapshot()


def test_a_file_that_is_not_toml_does_not_hide_the_environments_problems(
    config: ConfigFile,
) -> None:
    problems = config.problems("[server\n", LOG_COLOR="pink", UPSTREAM_API_KEY="sk-1")

    assert [(problem.key, problem.line) for problem in problems] == [
        ("syntax", 1),
        ("LOG_COLOR", None),
    ]


def test_every_problem_is_reported_in_the_files_order(config: ConfigFile) -> None:
    complaints = config.complaints(
        '[[upstreams]]\nname = "a"\n[upstream]\nbase_url = "x"\n[server]\nui = "open"\nport = 1\n',
        LOG_LEVEL="warn",
    )

    assert [complaint.partition(":")[0] for complaint in complaints] == [
        "1 upstreams[0].base_url",
        "4 upstream.base_url",
        "6 server.ui",
        "7 server.port",
        "None LOG_LEVEL",
    ]


def test_a_whole_upstream_is_read(config: ConfigFile) -> None:
    [upstream] = config.load(
        """
        [[upstreams]]
        name = "a"
        base_url = "https://a.example/v1"
        api_keys = ["k1", "k2"]
        headers = { X-Team = "blue" }
        timeouts.idle = 2.5
        [[upstreams.model_rewrites]]
        from = "x"
        to = "y"
        """
    ).upstreams

    assert (upstream.name, upstream.api_keys, upstream.headers) == (
        "a",
        ("k1", "k2"),
        {"X-Team": "blue"},
    )
    assert (upstream.timeouts.idle, upstream.timeouts.connect) == (2.5, 10)
    assert (upstream.model_rewrites[0].from_, upstream.model_rewrites[0].to) == ("x", "y")


SECRET = "s3cret-9f"
SECRETS_IN_A_FILE = {
    "base_url": f'[[upstreams]]\nname = "a"\nbase_url = "ftp://u:{SECRET}@a.b/?k={SECRET}"',
    "api_key": f'[upstream]\nbase_url = "https://a.b"\napi_key = "{SECRET} "',
    "no list": f'[upstream]\nbase_url = "https://a.b"\napi_keys = "{SECRET}"',
    "repeated key": f'[upstream]\nbase_url = "https://a.b"\napi_keys = ["{SECRET}", "{SECRET}"]',
    "misspelt key": f'[upstream]\nbase_url = "https://a.b"\napi_kyes = ["{SECRET}"]',
    "header": f'[upstream]\nbase_url = "https://a.b"\nheaders.a = "{SECRET}\\u0000"',
    "invite code": f'[registration]\ninvite_codes = "{SECRET}"',
    "environment's": f'jwt_secret = "{SECRET}"\nadmin_password = "{SECRET}"',
    "not TOML": f'[upstream]\napi_key = "{SECRET}',
}
SECRETS_IN_THE_ENVIRONMENT = {
    "UPSTREAM_API_KEY": f"{SECRET} x",
    "UPSTREAM_BASE_URL": f"https://{SECRET}@a.b",
    "JWT_SECRET": SECRET,
    "ADMIN_PASSWORD": SECRET * 10,
    "DATABASE_URL": f"mysql://u:{SECRET}@h/db",
}


@pytest.mark.parametrize("text", SECRETS_IN_A_FILE.values(), ids=SECRETS_IN_A_FILE)
def test_no_secret_of_the_file_is_shown(config: ConfigFile, text: str) -> None:
    assert SECRET not in "\n".join(config.complaints(text))


@pytest.mark.parametrize("name", SECRETS_IN_THE_ENVIRONMENT)
def test_no_secret_of_the_environment_is_shown(config: ConfigFile, name: str) -> None:
    assert SECRET not in "\n".join(
        config.complaints("", **{name: SECRETS_IN_THE_ENVIRONMENT[name]})
    )


def test_two_readings_of_a_file_are_equal(config: ConfigFile) -> None:
    text = '[upstream]\nbase_url = "https://a.b"\n'

    assert config.load(text) == config.load(text)
    assert config.load(text).upstreams == (Upstream(name="upstream", base_url="https://a.b"),)


OWN_PROFILE = """
[profiles.ours]
like = "vllm"
hosts = ["llm.example.internal"]

[[upstreams]]
name = "a"
base_url = "https://elsewhere.example/v1"
profile = "ours"
"""


def test_own_profiles_are_found_by_host_and_by_name(config: ConfigFile) -> None:
    snapshot = config.load(OWN_PROFILE)
    there = Upstream(name="b", base_url="https://llm.example.internal")

    assert snapshot.profile_of(there, "m").name == "ours"
    assert snapshot.profile_of(snapshot.upstreams[0], "m").writes == (
        "reasoning_content",
        "reasoning",
    )


@pytest.mark.parametrize(
    ("written", "complaint"),
    [
        ('[profiles.ours]\nlike = "nothing"', "1 profiles.ours: like: 'nothing' is none of"),
        ("[profiles.glm]\ncolour = 1", "1 profiles.glm: "),
        ("profiles = 1", "1 profiles: must be a table"),
        ('[profiles.ours]\nlike = ["deepseek-v4"]', "1 profiles.ours: like: "),
        ('[profiles.ours]\nmodels = ["a{99999999999999}"]', "1 profiles.ours: models: "),
        (
            '[[upstreams]]\nname = "a"\nbase_url = "https://x.example"\nprofile = "ours"',
            "4 upstreams[0].profile: must be",
        ),
    ],
)
def test_a_profile_that_can_not_be_understood_is_refused(
    config: ConfigFile, written: str, complaint: str
) -> None:
    [found] = config.complaints(written)

    assert found.startswith(complaint)
