"""How mitmproxy is launched: `mitm.toml` becomes the arguments of `mitmdump` or `mitmweb`."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec
from msgspec import inspect

from shared.config.address import is_loopback, split_address
from shared.config.check import Finding, Rule, check, closest
from shared.config.document import Document
from shared.errors import ConfigError, Problem

__all__ = (
    "LAUNCHER_OPTIONS",
    "OPTIONS",
    "REQUIRED",
    "SINK",
    "WEB_OPTIONS",
    "MitmSettings",
    "find_mitm",
    "load_mitm",
    "load_safe_mitm",
)

type Value = bool | int | str | tuple[str, ...]

LAUNCHER_OPTIONS = frozenset({"confdir", "listen_host", "listen_port", "mode", "scripts", "server"})
"""Options of mitmproxy that the launcher sets itself."""

OPTIONS = frozenset(
    """
    add_upstream_certs_to_client_chain allow_hosts anticache anticomp block_global
    block_list block_private
    body_size_limit cert_passphrase certs ciphers_client ciphers_server client_certs client_replay
    client_replay_concurrency command_history connect_addr connection_strategy
    content_view_lines_cutoff
    dns_name_servers dns_use_hosts_file dumper_default_contentview dumper_filter
    export_preserve_original_ip flow_detail
    hardump http2 http2_ping_keepalive http3 http_connect_send_host_header ignore_hosts
    keep_alt_svc_header
    keep_host_header keepserving key_size map_local map_remote modify_body modify_headers
    normalize_outbound_headers
    onboarding onboarding_host protobuf_definitions proxy_debug proxyauth rawtcp
    readfile_filter request_client_cert
    rfile save_stream_file save_stream_filter server_replay server_replay_extra
    server_replay_ignore_content
    server_replay_ignore_host server_replay_ignore_params
    server_replay_ignore_payload_params server_replay_ignore_port
    server_replay_kill_extra server_replay_nopop server_replay_refresh server_replay_reuse
    server_replay_use_headers
    show_ignored_hosts showhost ssl_insecure ssl_verify_upstream_trusted_ca
    ssl_verify_upstream_trusted_confdir
    stickyauth stickycookie store_streamed_bodies stream_large_bodies strip_ech tcp_hosts
    tcp_timeout termlog_verbosity
    tls_ecdh_curve_client tls_ecdh_curve_server tls_version_client_max
    tls_version_client_min tls_version_server_max
    tls_version_server_min udp_hosts upstream_auth upstream_cert validate_inbound_headers websocket
    """.split()  # noqa: SIM905 - a hundred quoted names would hide the names
)
"""The options of mitmdump 12.2 (`mitmdump --options`). mitmproxy takes an unknown `--set`
for one that a script may yet define and says nothing, so a misspelt name has to be found
here.
"""

WEB_OPTIONS = frozenset(
    """
    console_focus_follow intercept intercept_active view_filter view_order
    view_order_reversed web_columns web_debug
    web_host web_open_browser web_password web_port web_static_viewer
    """.split()  # noqa: SIM905
)
"""The options that only mitmweb has."""


SINK = "reverse:http://127.0.0.1:9"
"""The mode: mitmproxy's own target is a port that nobody listens at."""

REQUIRED: Mapping[str, object] = {
    "block_global": False,
    "connection_strategy": "lazy",
    "http2": False,
    "http3": False,
    "websocket": False,
    "rawtcp": False,
    "onboarding": False,
    "validate_inbound_headers": True,
    "keep_host_header": True,
    "ssl_insecure": False,
}
"""Options that must hold, whoever launches mitmproxy: another value would open a way past
the gateway.
"""

_AS_REQUIRED = frozenset({"ssl_insecure", "validate_inbound_headers"})
"""Those that mitmproxy itself has so where they are not given."""

_FORBIDDEN = {
    **dict.fromkeys(("hardump", "save_stream_file"), "writes all traffic with its keys to a file"),
    **dict.fromkeys(("client_replay", "rfile", "server_replay"), "plays back recorded traffic"),
    **dict.fromkeys(("proxyauth", "upstream_auth"), "is for another kind of proxy"),
    **dict.fromkeys(
        ("map_local", "map_remote", "modify_body", "modify_headers"), "changes what passes"
    ),
    **dict.fromkeys(("stickyauth", "stickycookie"), "gives one caller's credentials to others"),
    "proxy_debug": "writes raw traffic to the log",
}
"""Options that nobody may set, and what is wrong with each."""

_MOST_DETAIL = 1
"""`flow_detail` from 2 on prints headers and bodies."""


class MitmSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The settings in `mitm.toml`."""

    mode: str
    options: dict[str, Value] = {}
    web: dict[str, Value] = {}
    """For mitmweb only, in addition to `options`."""

    def arguments(self, listen: str, *, web: bool, confdir: Path) -> list[str]:
        """The command line after `mitmdump`, or `mitmweb` when `web`, to listen at `listen`
        (host:port).

        mitmproxy reads `confdir/config.yaml` after these arguments, and keeps its CA's key
        there: the folder must be our own and closed to others.
        """
        host, port = split_address(listen)
        options = self.options
        if web:
            options = options | self.web
        settings = [
            f"confdir={confdir}",
            *(setting for name in options for setting in option_settings(name, options[name])),
        ]
        # mitmproxy splits at the last colon and takes the rest as it is: IPv6 goes without
        # brackets.
        return [
            "--mode",
            f"{self.mode}@{host}:{port}",
            *(word for each in settings for word in ("--set", each)),
        ]


def option_settings(name: str, value: Value) -> list[str]:
    """Write an option for `--set`: a list is repeated, an empty one has no `=`."""
    match value:
        case bool():
            return [f"{name}={str(value).lower()}"]
        case tuple():
            return [f"{name}={item}" for item in value] or [name]
    return [f"{name}={value}"]


def load_mitm(path: Path) -> MitmSettings:
    """Read `mitm.toml`.

    Raises ConfigError with every problem found.
    """
    try:
        document = Document.read(str(path))
    except FileNotFoundError:
        raise ConfigError([Problem("file", "is not there", source=str(path))]) from None
    findings = check(document.tree, inspect.type_info(MitmSettings), RULES)
    if problems := [document.problem(finding.path, finding.message) for finding in findings]:
        raise ConfigError(problems)
    return msgspec.convert(document.tree, MitmSettings)


def load_safe_mitm(path: Path, *, web: bool = False) -> MitmSettings:
    """Read `mitm.toml` for a start; raises ConfigError also where it is not safe to run so."""
    settings = load_mitm(path)
    problems = [Problem(key, fault, source=str(path)) for key, fault in _unsafe(settings, web)]
    if problems:
        raise ConfigError(problems)
    return settings


def _unsafe(settings: MitmSettings, web: bool) -> Iterator[tuple[str, str]]:
    """Yield each key that would weaken the gateway, and what is wrong with it."""
    if settings.mode != SINK:
        yield "mode", f"must be {SINK}: mitmproxy itself must forward to nowhere"
    yield from _unsafe_options("options", settings.options)
    for name in REQUIRED.keys() - settings.options.keys() - _AS_REQUIRED:
        yield f"options.{name}", f"is missing: set it to {_spelt(REQUIRED[name])}"
    if web:
        yield from _unsafe_options("web", settings.web)
        if not is_loopback(str(settings.web.get("web_host", "127.0.0.1"))):
            yield "web.web_host", "must be 127.0.0.1: mitmweb shows what everybody writes"


def _unsafe_options(table: str, options: Mapping[str, Value]) -> Iterator[tuple[str, str]]:
    for name, value in options.items():
        if name in REQUIRED and value != REQUIRED[name]:
            yield f"{table}.{name}", f"must be {_spelt(REQUIRED[name])}"
        elif name in _FORBIDDEN and value not in (False, "", ()):
            yield f"{table}.{name}", f"must not be set: it {_FORBIDDEN[name]}"
    detail = options.get("flow_detail", 0)
    if isinstance(detail, int) and detail > _MOST_DETAIL:
        yield f"{table}.flow_detail", f"must be 0 or {_MOST_DETAIL}: more shows keys and prompts"
    if options.get("termlog_verbosity") == "debug":
        yield f"{table}.termlog_verbosity", "must not be debug: that writes raw traffic to the log"
    if table == "options" and options.get("store_streamed_bodies"):
        yield f"{table}.store_streamed_bodies", "must be false: it keeps every body in memory"


def _spelt(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else f'"{value}"'


def find_mitm() -> Path:
    """`mitm.toml` of the current directory, else the one beside the packages, in a checkout
    as in an installation.
    """
    here = Path("mitm.toml")
    if here.is_file():
        return here
    return Path(__file__).parents[2] / here


def mode(text: str) -> Iterator[Finding]:
    """With `https` mitmproxy would bind UDP too; the address to listen at is a setting of
    its own.
    """
    if not text.startswith("reverse:http://") or "@" in text:
        yield Finding("must be reverse:http://host:port, without an address to listen at")


def names_among(*known: frozenset[str]) -> Rule:
    names = frozenset[str]().union(*known)

    def rule(table: Mapping[str, Value]) -> Iterator[Finding]:
        for name in table:
            if name in LAUNCHER_OPTIONS:
                yield Finding("is set by Thinkback itself", (name,))
            elif name not in names:
                yield Finding(f"is not an option of mitmproxy{closest(name, names)}", (name,))

    return rule


RULES: Mapping[str, Rule] = {
    "mode": mode,
    "options": names_among(OPTIONS),
    "web": names_among(OPTIONS, WEB_OPTIONS),
}
