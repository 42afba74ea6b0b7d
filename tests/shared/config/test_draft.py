from operator import attrgetter

import pytest

from shared.config.draft import ENVIRONMENT
from tests.shared.config.conftest import ConfigFile

TWO = '[[upstreams]]\nname = "a"\nbase_url = "https://a.b"\n[[upstreams]]\nname = "c"\nbase_url = "https://c.d"\n'
ONE = '[[upstreams]]\nname = "a"\nbase_url = "https://a.b"\napi_key = "from-file"\n'
LEGACY = '[upstream]\nbase_url = "https://old.example"\n'


SETTINGS = """
[server]
listen_addr = "127.0.0.1:1"
admin_addr = "127.0.0.1:2"
public_url = "https://file.example"
[logging]
level = "error"
color = "always"
body_max_chars = 1
message_max_chars = 2
[registration]
allowed = true
"""


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("LISTEN_ADDR", "[::1]:80", "[::1]:80"),
        ("ADMIN_LISTEN_ADDR", "127.0.0.1:3", "127.0.0.1:3"),
        ("PUBLIC_URL", "https://x.y", "https://x.y"),
        ("TRUSTED_PROXIES", "10.0.0.0/8, ::1", ("10.0.0.0/8", "::1")),
        ("WORKERS", " 4 ", 4),
        ("WORKERS", "Auto", "auto"),
        ("LOG_LEVEL", "DEBUG", "debug"),
        ("LOG_COLOR", "never", "never"),
        ("LOG_BODY_MAX_CHARS", "0", 0),
        ("MESSAGE_LOG_MAX_CHARS", " 7 ", 7),
        ("ALLOW_REGISTRATION", "False", False),
        ("MODELS_REFRESH_SECONDS", "0", 0),
        ("DATABASE_URL", "sqlite:/srv/a.db", "sqlite:/srv/a.db"),
        ("JWT_SECRET", "x" * 32, "x" * 32),
        ("ADMIN_PASSWORD", " p w ", " p w "),
    ],
)
def test_the_environment_overrides_the_file(
    config: ConfigFile, name: str, text: str, value: object
) -> None:
    snapshot = config.load(SETTINGS, **{name: text})

    assert attrgetter(ENVIRONMENT[name])(snapshot) == value


def test_an_empty_variable_counts_as_unset(config: ConfigFile) -> None:
    everything = dict.fromkeys(ENVIRONMENT.keys() - {"CONFIG_PATH"}, "") | {"UPSTREAM_BASE_URL": ""}

    assert config.load(ONE, **everything) == config.load(ONE)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("LOG_BODY_MAX_CHARS", "many", "must be a whole number, not text"),
        ("LOG_BODY_MAX_CHARS", "1.5", "must be a whole number, not text"),
        ("MESSAGE_LOG_MAX_CHARS", "-1", "must be a whole number, not text"),
        ("ALLOW_REGISTRATION", "maybe", "must be true or false, not text"),
        ("LOG_LEVEL", "warn", "must be one of debug, error, info, warning (did you mean warning?)"),
    ],
)
def test_a_bad_variable_is_named_itself(
    config: ConfigFile, name: str, text: str, message: str
) -> None:
    assert config.complaints("", **{name: text}) == [f"None {name}: {message}"]


def test_a_section_that_is_no_table_is_a_problem_beside_the_environment(config: ConfigFile) -> None:
    complaints = config.complaints("server = 5\n", LISTEN_ADDR="127.0.0.1:80")

    assert complaints == ["1 server: must be a table, not a whole number"]


@pytest.mark.parametrize(
    ("name", "key"), [item for item in ENVIRONMENT.items() if "." not in item[1]]
)
def test_a_setting_of_the_environment_has_no_key_in_the_file(
    config: ConfigFile, name: str, key: str
) -> None:
    message = f"can only be set with the environment variable {name}"

    assert config.complaints(f'\n{key} = "x"\n') == [f"2 {key}: {message}"]


def test_a_base_url_in_the_environment_replaces_all_upstreams(config: ConfigFile) -> None:
    environ = {"UPSTREAM_BASE_URL": "https://e.example:444/v1", "UPSTREAM_API_KEY": "k1, k2,"}
    wrong = 'api_key = ""\napi_keys = [""]\n'

    [upstream] = config.load(
        TWO + wrong + LEGACY + wrong, **environ, UPSTREAM_CHAT_COMPLETIONS_PATH="/c"
    ).upstreams

    assert (upstream.name, upstream.api_keys) == ("e.example", ("k1", "k2"))
    assert (upstream.base_url, upstream.path) == ("https://e.example:444/v1", "/c")


@pytest.mark.parametrize(
    "base_url", ["nonsense", "https://", "https://[::1", "https://h:99999", "https://a\x01b"]
)
def test_a_bad_base_url_in_the_environment_is_one_problem(
    config: ConfigFile, base_url: str
) -> None:
    [problem] = config.problems("", UPSTREAM_BASE_URL=base_url)

    assert (problem.key, problem.source) == ("UPSTREAM_BASE_URL", "environment")


def test_a_bad_key_in_the_environment_is_named_by_its_variable(config: ConfigFile) -> None:
    environ = {"UPSTREAM_API_KEY": "k1,k 2", "UPSTREAM_CHAT_COMPLETIONS_PATH": "c"}

    problems = config.problems("", UPSTREAM_BASE_URL="https://e.example", **environ)

    assert [problem.key for problem in problems] == list(environ)


def test_a_key_in_the_environment_is_that_of_the_only_upstream(config: ConfigFile) -> None:
    [upstream] = config.load(ONE, UPSTREAM_API_KEY="from-environment").upstreams

    assert (upstream.name, upstream.api_keys) == ("a", ("from-environment",))


def test_a_key_in_the_environment_is_that_of_the_legacy_table(config: ConfigFile) -> None:
    upstreams = config.load(TWO + LEGACY, UPSTREAM_API_KEY="k").upstreams

    assert [upstream.api_keys for upstream in upstreams] == [(), (), ("k",)]


@pytest.mark.parametrize("text", ["", TWO], ids=["no upstream", "two upstreams"])
def test_a_key_that_belongs_to_no_upstream_is_a_problem(config: ConfigFile, text: str) -> None:
    message = "belongs to no upstream: set UPSTREAM_BASE_URL too, or configure exactly one upstream"

    complaints = config.complaints(text, UPSTREAM_API_KEY="k", UPSTREAM_CHAT_COMPLETIONS_PATH="/c")

    assert complaints == [
        f"None UPSTREAM_API_KEY: {message}",
        f"None UPSTREAM_CHAT_COMPLETIONS_PATH: {message}",
    ]


def test_the_problem_of_a_value_in_the_file_that_is_overridden_does_not_count(
    config: ConfigFile,
) -> None:
    file = ONE.replace("from-file", "not a key")

    assert config.load(file, UPSTREAM_API_KEY="k").upstreams[0].api_keys == ("k",)


def test_the_legacy_table_is_one_more_upstream_at_the_end(config: ConfigFile) -> None:
    upstreams = config.load(LEGACY + 'api_key = "k"\n' + TWO).upstreams

    assert [upstream.name for upstream in upstreams] == ["a", "c", "upstream"]
    assert upstreams[-1].api_keys == ("k",)


def test_the_legacy_tables_problems_are_named_as_it_is_written(config: ConfigFile) -> None:
    complaints = config.complaints(ONE + '[upstream]\nname = "a"\napi_key = ""\n')

    assert complaints == [
        "5 upstream.base_url: is missing",
        "6 upstream.name: is the same as that of upstream number 1",
        "7 upstream.api_key: must be plain ASCII without spaces or line breaks",
    ]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("upstream = 5\n", "1 upstream: must be a table, not a whole number"),
        ("[[upstream]]\n", "1 upstream: must be a table, not a list"),
        (
            "[upstream]\n[upstreams]\n",
            "2 upstreams: must be a list of tables: put its name in double brackets, [[ and ]]",
        ),
        ("upstreams = [5]\n", "1 upstreams[0]: must be a table, not a whole number"),
    ],
)
def test_an_upstream_of_the_wrong_shape_is_a_problem(
    config: ConfigFile, text: str, complaint: str
) -> None:
    assert config.complaints(text) == [complaint]


def test_a_single_key_may_be_given_as_such(config: ConfigFile) -> None:
    assert config.load(ONE).upstreams[0].api_keys == ("from-file",)


def test_a_single_key_beside_a_list_is_a_problem(config: ConfigFile) -> None:
    complaints = config.complaints(ONE + 'api_keys = ["k"]\n')

    assert complaints == [
        "4 upstreams[0].api_key: can't be used together with api_keys: put the key in there"
    ]
