from collections.abc import Iterator

import pytest
from msgspec import inspect

from shared.config.rules import RULES
from shared.config.schema import Snapshot
from tests.shared.config.conftest import ConfigFile


def upstream(line: str) -> str:
    """A file whose only upstream has the line."""
    base = "" if line.startswith("base_url") else 'base_url = "https://a.b"\n'
    name = "" if line.startswith("name") else 'name = "a"\n'
    return f"[[upstreams]]\n{name}{base}{line}\n"


ACCEPTED = {
    "server": [
        'listen_addr = "0.0.0.0:80"',
        'listen_addr = "localhost:80"',
        'listen_addr = "[::]:80"',
        'public_url = ""',
        'public_url = "http://gate.example:8000/"',
        'public_url = "https://gate.example"',
        "trusted_proxies = []",
        'trusted_proxies = ["10.0.0.0/8", "fd00::/8", "192.0.2.7"]',
        "workers = 1",
        "workers = 256",
        'workers = "auto"',
        "max_body_mib = 1",
        "max_body_mib = 1024",
        "max_messages = 1",
        "max_messages = 1000000",
        "drain_seconds = 0",
        "drain_seconds = 86400",
        "shutdown_delay_seconds = 0",
        "shutdown_delay_seconds = 3600",
        "max_connections_per_address = 1",
        "max_connections_per_network = 1000000",
        "max_waiting_mib = 1",
        "head_seconds = 0.5e1",
        "idle_seconds = 3600",
        "min_body_kib = 0.5",
    ],
    "recall": [
        "max_age_days = 1",
        "max_mib = 0",
        "max_mib = 1048576",
        "memory_mib = 1",
        "max_restored_mib = 1024",
    ],
    "registration": ["quota_tokens = 1000000000000", 'invite_codes = ["a b"]'],
}
ACCEPTED_OF_AN_UPSTREAM = [
    'name = "Zoë\'s"',
    'base_url = "http://127.0.0.1:9"',
    'base_url = "HTTPS://[::1]:9/v1/"',
    'path = "/openai/chat?api-version=1"',
    'profile = "kimi"',
    'headers = { "X-Team" = "blue, ü", Authorization = "" }',
    "timeouts = { connect = 0, idle = 0.5 }",
    'models = ["a/b:c"]',
    'model_rewrites = [{ from = "a", to = "b" }]',
    "model_rewrites = [{ from_pattern = '^(a)|(b)$', to_template = 'x{0}{1}{2}{}{a}{-1}{{}' }]",
]
REFUSED = {
    "server": [
        ('listen_addr = "8787"', "must be host:port, like 127.0.0.1:8787, or [::1]:8787 for IPv6"),
        ('admin_addr = "localhost:0"', "must end in a port from 1 to 65535, like 127.0.0.1:8787"),
        (
            'admin_addr = "127.0.0.1:8787"',
            "is the same as listen_addr: each program needs its own port",
        ),
        (
            'listen_addr = "127.0.0.1:8788"',
            "is the same as admin_addr: each program needs its own port",
        ),
        ('public_url = "gate.example"', "must start with http:// or https:// and name a host"),
        ('public_url = "https://gate.example/v1"', "must end after the host and port"),
        ('public_url = "https://gate.example/v1/"', "must end after the host and port"),
        ('public_url = "http://gate.example:8000/llm/"', "must end after the host and port"),
        ('public_url = "https://gate.example//"', "must end after the host and port"),
        ('public_url = "https://gate.example/?x=1"', "must not have a fragment (#) or a query (?)"),
        ('public_url = "https://gate.example?api-version=1"', "must not have a query (?)"),
        (
            'trusted_proxies = ["10.0.0.1/8"]',
            "must be an address or a network, like 10.0.0.5 or 10.0.0.0/8",
        ),
        (
            'trusted_proxies = ["0.0.0.0/0"]',
            "trusts so many addresses that anyone could pretend to be anybody: name the proxies",
        ),
        (
            'trusted_proxies = ["::/1"]',
            "trusts so many addresses that anyone could pretend to be anybody: name the proxies",
        ),
        (
            'trusted_proxies = ["proxy"]',
            "must be an address or a network, like 10.0.0.5 or 10.0.0.0/8",
        ),
        ('trusted_proxies = [""]', "must be an address or a network, like 10.0.0.5 or 10.0.0.0/8"),
        ("workers = 0", "must be from 1 to 256"),
        ("workers = 257", "must be from 1 to 256"),
        ('workers = "all"', 'must be a whole number or "auto"'),
        ("max_body_mib = 0", "must be from 1 to 1024"),
        ("max_body_mib = 1025", "must be from 1 to 1024"),
        ("max_messages = 0", "must be from 1 to 1000000"),
        ("max_messages = 1000001", "must be from 1 to 1000000"),
        ("drain_seconds = -1", "must be from 0 to 86400"),
        ("drain_seconds = 86401", "must be from 0 to 86400"),
        ("shutdown_delay_seconds = 3601", "must be from 0 to 3600"),
        ("max_connections_per_address = 0", "must be from 1 to 1000000"),
        ("max_connections_per_network = 0", "must be from 1 to 1000000"),
        ("max_waiting_mib = 0", "must be from 1 to 65536"),
        ("head_seconds = 0", "must be from 1 to 600"),
        ("idle_seconds = 3601", "must be from 1 to 3600"),
        ("min_body_kib = 0", "must be from 0.001 to 1024"),
    ],
    "logging": [("body_max_chars = -1", "must be 0 or more")],
    "recall": [
        ("max_age_days = 0", "must be from 1 to 36500"),
        ("max_mib = -1", "must be from 0 to 1048576"),
        ("memory_mib = 0", "must be from 1 to 65536"),
        ("max_restored_mib = 0", "must be from 1 to 1024"),
    ],
    "models": [
        ("refresh_seconds = 59", "must be 0, or from 60 to 2592000"),
        ("refresh_seconds = 2592001", "must be 0, or from 60 to 2592000"),
    ],
    "registration": [
        ("quota_tokens = -1", "must be 0 or more"),
        ('invite_codes = [""]', "must not be empty or hold control characters"),
    ],
}
REFUSED_OF_AN_UPSTREAM = [
    ('name = ""', "must not be empty or hold control characters"),
    ('name = "a\\n"', "must not be empty or hold control characters"),
    ('base_url = ""', "must start with http:// or https:// and name a host"),
    ('base_url = "a.b/v1"', "must start with http:// or https:// and name a host"),
    ('base_url = "ftp://a.b"', "must start with http:// or https:// and name a host"),
    ('base_url = "https:///v1"', "must start with http:// or https:// and name a host"),
    ('base_url = "https://a.b:0"', "must start with http:// or https:// and name a host"),
    ('base_url = "https://a.b:65536"', "is not a URL"),
    ('base_url = "https://[::1"', "is not a URL"),
    ('base_url = "https://a.b/?x=1"', "must not have a fragment (#) or a query (?)"),
    ('base_url = "https://a.b?"', "must not have a fragment (#) or a query (?)"),
    ('base_url = "https://a.b#"', "must not have a fragment (#) or a query (?)"),
    ('base_url = "https://u@a.b"', "must not contain a username or password"),
    ('base_url = "https://a.\\nb"', "must be plain ASCII without spaces"),
    ('base_url = "https://a.b/ü"', "must be plain ASCII without spaces"),
    ('base_url = " https://a.b"', "must be plain ASCII without spaces"),
    (
        'base_url = "https://a.b/v1/chat/completions/"',
        "must end before /chat/completions, which is appended to it",
    ),
    ('path = "chat"', "must start with / and be plain ASCII without spaces"),
    ('path = "/a b"', "must start with / and be plain ASCII without spaces"),
    ('path = "/a\\r\\nX: 1"', "must start with / and be plain ASCII without spaces"),
    ('api_keys = [""]', "must be plain ASCII without spaces"),
    ('api_keys = ["a b"]', "must be plain ASCII without spaces"),
    ('api_keys = ["a\\n"]', "must be plain ASCII without spaces"),
    ('api_keys = ["“a”"]', "must be plain ASCII without spaces"),
    ('api_keys = ["a", "b", "a"]', "repeats a key of this upstream"),
    ('models = [""]', "must not be empty or hold control characters"),
    ('profile = "kimmi"', "(did you mean kimi?)"),
    ('headers = { "X Y" = "a" }', "is not a header name; use letters, digits and -"),
    ('headers = { Host = "internal.example" }', "is set by Thinkback itself"),
    ('headers = { Content-length = "5" }', "is set by Thinkback itself"),
    ('headers = { Transfer-Encoding = "chunked" }', "is set by Thinkback itself"),
    ('headers = { "" = "a" }', "is not a header name; use letters, digits and -"),
    ('headers = { "X:\\r\\n" = "a" }', "is not a header name; use letters, digits and -"),
    ('headers = { X = "a\\r\\nY: b" }', "must not contain control characters or line breaks"),
    ('headers = { X = "\\u0000" }', "must not contain control characters or line breaks"),
    ("timeouts = { connect = -0.1 }", "must be from 0 to 86400"),
    ("timeouts = { total = inf }", "must be from 0 to 86400"),
    ("timeouts = { idle = nan }", "must be from 0 to 86400"),
    ("timeouts = { first_byte = 86401 }", "must be from 0 to 86400"),
    ("model_rewrites = [{}]", "needs either from and to, or from_pattern and to_template"),
    (
        'model_rewrites = [{ from = "a", to = "b", to_template = "c" }]',
        "needs either from and to, or from_pattern",
    ),
    ('model_rewrites = [{ from = "a" }]', "is missing"),
    ('model_rewrites = [{ to_template = "a" }]', "is missing"),
    ('model_rewrites = [{ from = "", to = "b" }]', "must not be empty"),
    ('model_rewrites = [{ from = "a", to = "" }]', "must not be empty"),
    ('model_rewrites = [{ from_pattern = "", to_template = "b" }]', "must not be empty"),
    ('model_rewrites = [{ from_pattern = "a", to_template = "" }]', "must not be empty"),
    (
        'model_rewrites = [{ from_pattern = "(", to_template = "{9}" }]',
        "is not a regular expression: missing )",
    ),
    (
        'model_rewrites = [{ from_pattern = "a{9999999999}", to_template = "a" }]',
        "is not a regular expression",
    ),
    (
        'model_rewrites = [{ from_pattern = "(a)", to_template = "{2}" }]',
        "uses {2}, but the groups of from_pattern end",
    ),
    (
        'model_rewrites = [{ from_pattern = "(a)", to_template = "{9999999999}" }]',
        "uses {9999999999}, but",
    ),
]


@pytest.mark.parametrize(
    "text",
    [f"[{section}]\n{line}" for section, lines in ACCEPTED.items() for line in lines]
    + [upstream(line) for line in ACCEPTED_OF_AN_UPSTREAM],
)
def test_a_good_value_is_accepted(config: ConfigFile, text: str) -> None:
    config.load(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"[{section}]\n{line}", message)
        for section, lines in REFUSED.items()
        for line, message in lines
    ]
    + [(upstream(line), message) for line, message in REFUSED_OF_AN_UPSTREAM],
)
def test_a_bad_value_is_one_problem_on_its_line(
    config: ConfigFile, text: str, message: str
) -> None:
    [problem] = config.problems(text)

    assert message in problem.message
    assert problem.line == text.strip().count("\n") + 1


def test_every_upstream_has_a_name_of_its_own(config: ConfigFile) -> None:
    complaints = config.complaints(3 * upstream('profile = ""'))

    message = "is the same as that of upstream number 1"
    assert complaints == [f"6 upstreams[1].name: {message}", f"10 upstreams[2].name: {message}"]


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:a.db",
        "sqlite:/srv/a.db?mode=rwc",
        "sqlite:///srv/a.db",
        "postgresql://ada:pw@db:5432/a?sslmode=require",
        "postgres:///a?host=/run/postgresql",
    ],
)
def test_a_database_is_an_sqlite_file_or_on_a_postgresql_server(
    config: ConfigFile, url: str
) -> None:
    assert config.load("", DATABASE_URL=url).database_url == url


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("postgresql://localhost", "must name a database, like postgresql://"),
        ("postgresql:a", "must name a database, like postgresql://"),
        ("mysql://localhost/a", "must be sqlite: and a file that both programs can open"),
        ("data/adapter.db", "must be sqlite: and a file that both programs can open"),
        ("sqlite:", "must be sqlite: and a file that both programs can open"),
        ("sqlite://?mode=rwc", "must be sqlite: and a file that both programs can open"),
        ("sqlite::memory:", "must be sqlite: and a file that both programs can open"),
    ],
)
def test_any_other_database_is_refused(config: ConfigFile, url: str, message: str) -> None:
    [problem] = config.problems("", DATABASE_URL=url)

    assert problem.key == "DATABASE_URL"
    assert problem.message.startswith(message)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("JWT_SECRET", "x" * 31),
        ("JWT_SECRET", "\udce4" * 40),
        ("ADMIN_PASSWORD", "x" * 73),
        ("ADMIN_PASSWORD", "ü" * 37),
        ("ADMIN_PASSWORD", "\udce4"),
    ],
    ids=[
        "short secret",
        "secret not UTF-8",
        "long password",
        "long in bytes",
        "password not UTF-8",
    ],
)
def test_a_secret_of_the_wrong_size_is_refused(config: ConfigFile, name: str, text: str) -> None:
    [problem] = config.problems("", **{name: text})

    assert problem.key == name


def test_a_secret_is_measured_in_bytes(config: ConfigFile) -> None:
    snapshot = config.load("", JWT_SECRET="ü" * 16, ADMIN_PASSWORD="ü" * 36)

    assert (len(snapshot.jwt_secret), len(snapshot.admin_password)) == (16, 36)


WELL_KNOWN = "is a well-known password, and other machines can reach the gateway"


@pytest.mark.parametrize("password", ["admin", "ADMIN", "password", "changeme", "123456"])
@pytest.mark.parametrize(
    "environ",
    [
        {"LISTEN_ADDR": "0.0.0.0:8787"},
        {"ADMIN_LISTEN_ADDR": "[::]:8788"},
        {"PUBLIC_URL": "https://a.b"},
    ],
    ids=lambda environ: " ".join(environ),
)
def test_a_well_known_password_guards_nothing_that_others_reach(
    config: ConfigFile, environ: dict[str, str], password: str
) -> None:
    [problem] = config.problems("", ADMIN_PASSWORD=password, **environ)

    assert (problem.key, problem.source) == ("ADMIN_PASSWORD", "environment")
    assert problem.message.startswith(WELL_KNOWN)


def test_what_others_reach_may_stand_in_the_file(config: ConfigFile) -> None:
    [problem] = config.problems('[server]\npublic_url = "https://a.b"\n', ADMIN_PASSWORD="admin")

    assert problem.message.startswith(WELL_KNOWN)


@pytest.mark.parametrize(
    "server", ['server = "x"', '[server]\nlisten_addr = "x"', "[server]\nlisten_addr = 1"]
)
def test_a_malformed_server_is_the_only_problem_beside_a_well_known_password(
    config: ConfigFile, server: str
) -> None:
    [problem] = config.problems(server, ADMIN_PASSWORD="admin")

    assert problem.key.startswith("server")


@pytest.mark.parametrize(
    ("password", "environ"),
    [
        ("admin", {}),
        ("admin", {"LISTEN_ADDR": "localhost:8787"}),
        ("correct horse", {"PUBLIC_URL": "https://a.b"}),
    ],
)
def test_on_this_machine_alone_or_with_another_password_it_starts(
    config: ConfigFile, password: str, environ: dict[str, str]
) -> None:
    assert config.load("", ADMIN_PASSWORD=password, **environ).admin_password == password


def places(kind: inspect.Type, place: str = "") -> Iterator[str]:
    """Every place in a snapshot that a rule could be about."""
    yield place.removeprefix(".")
    match kind:
        case inspect.StructType(fields=fields):
            for field in fields:
                yield from places(field.type, f"{place}.{field.encode_name}")
        case inspect.VarTupleType(item_type=item):
            yield from places(item, f"{place}[]")
        case inspect.DictType(value_type=item):
            yield from places(item, f"{place}{{}}")


def test_every_rule_is_about_a_setting_that_there_is() -> None:
    assert RULES.keys() <= set(places(inspect.type_info(Snapshot)))
