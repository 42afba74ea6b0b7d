"""The mitmproxy addon: hooks become exchanges, and nothing gets through that was not let through.

mitmproxy forwards a request unmodified when a hook fails. Here that cannot reach anybody: a
flow is forwarded only by its `Plan` (see `attempts`), which is the last thing a hook makes,
and mitmproxy's own target is a closed port.
"""

import asyncio
import logging
import resource
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from weakref import WeakKeyDictionary

import msgspec
from mitmproxy import connection, ctx, http
from mitmproxy.addonmanager import Loader
from mitmproxy.proxy import commands, layer, server_hooks
from mitmproxy.proxy.layers import modes
from mitmproxy.tls import TlsData
from mitmproxy.utils import asyncio_utils

from addon.admission import problems
from addon.admission.admit import admit, unfit
from addon.admission.client import client_address, head_fault, is_trusted, without_hop_by_hop
from addon.edge import http1
from addon.edge.http_layer import GatewayHttpLayer, widen_backlog
from addon.edge.plan import Plan, Planner, lowered
from addon.exchange import local_answers as front
from addon.exchange.intake import Intake
from addon.exchange.verdict import Reply
from addon.formats.paths import Endpoint, classify
from addon.ledger.outcome import Delivery, Outcome
from addon.log import RequestLine, masked
from addon.node import Node
from shared.model import Principal
from shared.security.addresses import is_public_address
from shared.security.keys import mask

__all__ = ("BASELINE", "Gateway")

BASELINE: dict[str, object] = {
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
    "save_stream_file": None,
    "client_replay": [],
    "server_replay": [],
}
"""mitmproxy options that must hold, whoever launched it: another value would open a way
past the gateway.
"""

_SECRET_HEADERS = (
    "authorization",
    "api-key",
    "x-api-key",
    "cookie",
    "set-cookie",
    "proxy-authorization",
)
_MIB = 1024 * 1024
_log = logging.getLogger("thinkback")


class _Seen(msgspec.Struct):
    """What the log needs of a flow."""

    line: RequestLine
    began: float
    message_limit: int
    intake: Intake | None = None
    routine: bool = False
    """A health check: not worth a line unless it fails."""


class Gateway(Planner):
    """Admits, plans and settles each flow."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self.clock = node.clock
        self._plans: WeakKeyDictionary[http.HTTPFlow, Plan] = WeakKeyDictionary()
        self._seen: WeakKeyDictionary[http.HTTPFlow, _Seen] = WeakKeyDictionary()
        self._connecting: dict[str, asyncio.TimerHandle] = {}
        self._vetted: dict[str, tuple[str, int]] = {}
        """Names of the servers whose address stands in the connection while it is made."""

        self._clients: set[str] = set()
        self._max_clients = max(64, (resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 128) // 2)
        self._ticking: asyncio.Task[None] | None = None

    def hear(self, hook: commands.StartHook) -> None:
        try:
            getattr(self, hook.name)(*hook.args())
        except Exception:
            _log.exception("a hook failed")

    def plan_of(self, flow: http.HTTPFlow) -> Plan | None:
        return self._plans.get(flow)

    # -- life --------------------------------------------------------------------------------------

    def load(self, loader: Loader) -> None:
        http1.install()

    def running(self) -> None:
        self._refuse_other_options()
        widen_backlog(ctx.master.addons.get("proxyserver").servers)
        self.watched = ctx.master.addons.get("view") is not None or len(ctx.options.scripts) > 1
        self._ticking = asyncio_utils.create_task(
            self._tick(), name="thinkback each second", keep_ref=True
        )

    def done(self) -> None:
        if self._ticking is not None:
            self._ticking.cancel()
        # Streams that are being cut are settled after this hook: the store must still take them.
        self._node.engine.flush()

    def _refuse_other_options(self) -> None:
        wrong = [name for name, value in BASELINE.items() if getattr(ctx.options, name) != value]
        sinks = [
            mode for mode in ctx.options.mode if not mode.startswith("reverse:http://127.0.0.1:9@")
        ]
        for name in wrong:
            _log.error("mitmproxy's option %s must be %r: mend mitm.toml", name, BASELINE[name])
        for mode in sinks:
            _log.error(
                "mitmproxy's mode must be reverse:http://127.0.0.1:9@…, not %s: mend mitm.toml",
                mode,
            )
        if wrong or sinks:
            raise SystemExit(1)

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(1)
            try:
                self._node.each_second()
                self._forget_shown_flows()
            except Exception:
                _log.exception("the periodic work failed")

    def _forget_shown_flows(self) -> None:
        """mitmweb keeps every flow in memory: keep the latest ones."""
        view = ctx.master.addons.get("view")
        if view is not None and len(view) > _SHOWN_FLOWS:
            view.remove(list(view)[: len(view) - _SHOWN_FLOWS])

    # -- connections -------------------------------------------------------------------------------

    def next_layer(self, nextlayer: layer.NextLayer) -> None:
        # Every connection is plain HTTP/1 for the gateway; without this, TLS and raw TCP
        # would be guessed.
        if nextlayer.context.layers and isinstance(
            nextlayer.context.layers[-1], modes.ReverseProxy
        ):
            nextlayer.layer = GatewayHttpLayer(nextlayer.context, self)

    def client_connected(self, client: connection.Client) -> None:
        self._clients.add(client.id)
        if len(self._clients) > self._max_clients:
            client.error = "too many connections"

    def client_disconnected(self, client: connection.Client) -> None:
        self._clients.discard(client.id)

    async def server_connect(self, hook: server_hooks.ServerConnectionHookData) -> None:
        task = asyncio.current_task()
        seconds = self._connect_seconds(hook.server.address)
        if self._is_guarded(hook.server.address):
            await self._vet(hook.server, seconds or None)
        if task is not None and seconds and not hook.server.error:
            timer = asyncio.get_running_loop().call_later(seconds, task.cancel)
            self._connecting[hook.server.id] = timer

    def server_connected(self, hook: server_hooks.ServerConnectionHookData) -> None:
        if name := self._vetted.pop(hook.server.id, None):
            # Its name again, by which later requests find the open connection; mitmproxy
            # refuses the change when open.
            object.__setattr__(hook.server, "address", name)
        if not hook.server.tls:
            self._connected(hook.server)

    def tls_established_server(self, hook: TlsData) -> None:
        self._connected(hook.context.server)

    def server_connect_error(self, hook: server_hooks.ServerConnectionHookData) -> None:
        self._connected(hook.server)

    def server_disconnected(self, hook: server_hooks.ServerConnectionHookData) -> None:
        self._connected(hook.server)

    async def _vet(self, server: connection.Server, seconds: float | None) -> None:
        """Let a connection be made to a public address only, and to the very one that was
        looked at.
        """
        assert server.address is not None
        host, port = server.address
        loop = asyncio.get_running_loop()
        try:
            found = await asyncio.wait_for(
                loop.getaddrinfo(host, port, type=socket.SOCK_STREAM), seconds
            )
        except (OSError, UnicodeError, TimeoutError) as error:
            server.error = str(error) or "its name does not resolve"
            return
        addresses = [str(name[0]) for *_, name in found]
        if all(map(is_public_address, addresses)):
            self._vetted[server.id] = server.address
            server.address = addresses[0], port
        else:
            server.error = "private address"

    def _is_guarded(self, address: tuple[str, int] | None) -> bool:
        """Whether neither the sidecar nor a provisioned upstream is there: nothing else may
        be in a private network.
        """
        snapshot = self._node.snapshot
        if snapshot.server.allow_private_upstreams or address is None:
            return False
        host, _, port = snapshot.server.admin_addr.rpartition(":")
        known = {(host.strip("[]"), int(port))}
        known |= {(one.host, one.port) for one in snapshot.upstreams if not one.guarded}
        return address[:2] not in known

    def _connected(self, server: connection.Server) -> None:
        self._vetted.pop(server.id, None)
        if timer := self._connecting.pop(server.id, None):
            timer.cancel()

    def _connect_seconds(self, address: tuple[str, int] | None) -> float:
        upstreams = self._node.snapshot.upstreams
        asked = [
            one.timeouts.connect
            for one in upstreams
            if address and (one.host, one.port) == address[:2]
        ]
        return min(asked, default=10)

    # -- requests ----------------------------------------------------------------------------------

    def requestheaders(self, flow: http.HTTPFlow) -> None:
        with self._boundary(flow):
            fields = tuple(flow.request.headers.fields)
            headers = lowered(flow.request.headers)
            _mask(flow.request.headers)
            self._look(flow, headers)
            fault = head_fault(
                flow.request.method, flow.request.path, flow.request.http_version, fields
            )
            if fault or flow.request.authority:
                problem = problems.bad_head(fault or "a bare path is wanted")
                # What follows such a head can't be trusted to be a request.
                self._answer(
                    flow, front.problem_reply(problem, "chat", ""), {"connection": "close"}
                )
            elif endpoint := classify(flow.request.path):
                self._plan_endpoint(flow, endpoint, headers)
            else:
                self._plan_sidecar(flow, fields, headers)

    def request(self, flow: http.HTTPFlow) -> None:
        plan = self._plans.get(flow)
        if plan is not None and plan.sidecar is not None:
            # Passwords pass here, and a flow is for looking at.
            plan.sidecar.data.content, flow.request.data.content = flow.request.raw_content, b""
        if flow.response is not None or plan is None or plan.intake is None:
            return
        with self._boundary(flow):
            body = flow.request.raw_content or b""
            opened = plan.intake.open(body)
            if isinstance(opened, Reply):
                self._answer(flow, opened)
            self._debug(plan.intake, body)

    def responseheaders(self, flow: http.HTTPFlow) -> None:
        plan = self._plans.get(flow)
        if flow.response is not None and plan is not None and plan.sidecar is not None:
            flow.response.stream = True
            for name in ("server", "connection", "keep-alive"):
                flow.response.headers.pop(name, None)

    def response(self, flow: http.HTTPFlow) -> None:
        plan = self._plans.get(flow)
        if (
            flow.response is not None
            and flow.response.stream
            and plan is not None
            and plan.sidecar is not None
        ):
            flow.response.data.content = b""
            # The client has its session; whoever looks at the flow must not get it too.
            flow.response.headers.pop("set-cookie", None)
        self._settle(flow, str(flow.response.status_code) if flow.response else "500")

    def error(self, flow: http.HTTPFlow) -> None:
        self._settle(flow, "gone", client_left=True)

    def _plan_endpoint(
        self, flow: http.HTTPFlow, endpoint: Endpoint, headers: dict[str, str]
    ) -> None:
        snapshot = self._node.snapshot
        self._seen[flow].routine = endpoint.kind in ("healthz", "readyz")
        if flow.request.method == "OPTIONS":
            self._answer(flow, front.preflight())
        elif endpoint.kind == "healthz":
            self._answer(flow, front.health())
        elif endpoint.kind == "readyz":
            self._answer(
                flow,
                front.readiness(
                    store_answers=self._node.store_answers(), upstreams=len(snapshot.upstreams)
                ),
            )
        else:
            self._plan_call(flow, endpoint, headers)

    def _plan_call(self, flow: http.HTTPFlow, endpoint: Endpoint, headers: dict[str, str]) -> None:
        snapshot, max_body = self._node.snapshot, self._node.snapshot.server.max_body_mib * _MIB
        caller = admit(
            headers,
            snapshot,
            find_key=self._node.find_key,
            read_token=self._node.read_token,
            now_ms=self.clock.now_ms(),
        )
        if isinstance(caller, Principal):
            self._name(flow, caller)
            problem = unfit(endpoint, flow.request.method, headers, max_body)
        else:
            problem = caller
        if problem is not None:
            self._answer(
                flow,
                front.problem_reply(problem, endpoint.wire_format, headers.get("user-agent", "")),
            )
        elif isinstance(caller, Principal) and (endpoint.kind == "models" or endpoint.id):
            self._answer(flow, self._local_reply(flow, endpoint, caller, headers))
        elif isinstance(caller, Principal):
            intake = Intake(self._node.services, snapshot, caller, endpoint, headers)
            self._seen[flow].intake = intake
            self._plans[flow] = Plan(intake=intake, max_body=max_body)

    def _local_reply(
        self, flow: http.HTTPFlow, endpoint: Endpoint, caller: Principal, headers: dict[str, str]
    ) -> Reply:
        """The reply to a request that no upstream and no body is needed for."""
        services, agent = self._node.services, headers.get("user-agent", "")
        if refusal := front.counted(services.meter, caller, endpoint, agent):
            return refusal
        if endpoint.kind == "models":
            return front.models(self._node.snapshot, caller, headers)
        return front.stored(
            services.answers, caller, endpoint, flow.request.method, flow.request.path, agent
        )

    def _plan_sidecar(
        self, flow: http.HTTPFlow, fields: tuple[tuple[bytes, bytes], ...], headers: dict[str, str]
    ) -> None:
        server = self._node.snapshot.server
        if server.ui == "local":
            problem = problems.nothing_here()
            self._answer(flow, front.problem_reply(problem, "chat", ""))
            return
        host, _, port = server.admin_addr.rpartition(":")
        request = flow.request.copy()
        request.headers = http.Headers(without_hop_by_hop(fields))
        request.headers["x-forwarded-for"] = self._seen[flow].line.client
        request.headers["x-forwarded-proto"] = self._scheme(flow, headers)
        request.headers["connection"] = "close"
        request.data.host, request.data.port = host.strip("[]"), int(port)
        request.data.scheme, request.data.authority = b"http", b""
        # Small bodies are read first, so that a request can wait for a sidecar that is just
        # starting.
        flow.request.stream = (
            int(headers.get("content-length", "0") or 0) > _SMALL_BODY
            or "transfer-encoding" in headers
        )
        self._plans[flow] = Plan(sidecar=request)

    def _scheme(self, flow: http.HTTPFlow, headers: dict[str, str]) -> str:
        """`https` when a trusted proxy in front of us says so."""
        trusted = self._node.snapshot.server.trusted_proxies
        said = headers.get("x-forwarded-proto", "")
        return "https" if said == "https" and is_trusted(_peer(flow), trusted) else "http"

    def _answer(self, flow: http.HTTPFlow, reply: Reply, extra: Mapping[str, str] = {}) -> None:
        flow.request.headers.pop(
            "expect", None
        )  # nobody is asked to go on with a body that nobody reads
        flow.response = http.Response.make(reply.status, reply.body, {**reply.headers, **extra})

    @contextmanager
    def _boundary(self, flow: http.HTTPFlow) -> Iterator[None]:
        """Closed by default: whatever fails in here answers 500 and leaves no plan."""
        plan = self._plans.pop(flow, None)
        try:
            yield
        except Exception:
            _log.exception("a hook failed; the request is refused")
            self._plans.pop(flow, None)
            problem = problems.gateway_failed()
            self._answer(flow, front.problem_reply(problem, "chat", ""))
        else:
            if plan is not None:
                self._plans.setdefault(flow, plan)

    # -- the log -----------------------------------------------------------------------------------

    def _look(self, flow: http.HTTPFlow, headers: dict[str, str]) -> None:
        settings = self._node.snapshot
        line = RequestLine(
            client=client_address(
                _peer(flow), headers.get("x-forwarded-for", ""), settings.server.trusted_proxies
            ),
            user_agent=headers.get("user-agent", ""),
            method=flow.request.method,
            path=flow.request.path.partition("?")[0][:200],
            status="",
            seconds=0,
        )
        self._seen[flow] = _Seen(line, self.clock.monotonic(), settings.logging.message_max_chars)

    def _name(self, flow: http.HTTPFlow, caller: Principal) -> None:
        line = self._seen[flow].line
        line.principal, line.key_suffix = caller.name, caller.key_suffix

    def _settle(self, flow: http.HTTPFlow, status: str, *, client_left: bool = False) -> None:
        seen = self._seen.pop(flow, None)
        if seen is None:
            return
        seen.line.status = status
        seen.line.seconds = self.clock.monotonic() - seen.began
        if seen.intake is not None:
            self._end(seen.intake, seen.line, client_left=client_left)
        if not (seen.routine and status == "200"):
            seen.line.write()
        flow.comment = seen.line.text()

    def _end(self, intake: Intake, line: RequestLine, *, client_left: bool) -> None:
        try:
            outcome = intake.outcome()
            _report(line, outcome)
            if intake.kept:
                delivery = Delivery(
                    status=line.status,
                    seconds=line.seconds,
                    client=line.client,
                    user_agent=line.user_agent,
                    client_left=client_left,
                )
                self._node.settle(outcome, intake.opened, delivery)
        finally:
            intake.close()

    def _debug(self, intake: Intake, body: bytes) -> None:
        if not _log.isEnabledFor(logging.DEBUG):
            return
        limits = self._node.snapshot.logging
        for line in intake.outcome().summary():
            _log.debug("%s", masked(line, limits.message_max_chars))
        _log.debug("body: %s", masked(body.decode(errors="replace"), limits.body_max_chars))


_SHOWN_FLOWS = 500
_SMALL_BODY = 64 * 1024


def _report(line: RequestLine, outcome: Outcome) -> None:
    """Add what became of the exchange."""
    line.model = outcome.entry.model
    line.upstream, line.upstream_model = outcome.entry.upstream, outcome.entry.upstream_model
    line.tries = tuple(tried.outcome or "-" for tried in outcome.tries)
    if outcome.tries and (key := outcome.tries[-1].candidate.key):
        line.upstream_key = mask(key)
    if outcome.restoration is not None:
        line.restored = outcome.restoration.counts
    line.first_byte, line.note = outcome.first_byte, outcome.trouble
    if usage := outcome.usage:
        line.tokens = (usage.prompt_tokens, usage.cached_tokens, usage.completion_tokens)


def _mask(headers: http.Headers) -> None:
    """The flow is for looking at (mitmweb): it shows no secret."""
    for name in _SECRET_HEADERS:
        if name in headers:
            headers[name] = masked_header(headers[name])


def masked_header(text: str) -> str:
    """A credential header as it may be shown."""
    scheme, space, token = text.rpartition(" ")
    return f"{scheme}{space}{mask(token)}"


def _peer(flow: http.HTTPFlow) -> str:
    peer = flow.client_conn.peername
    address = peer[0] if peer else ""
    return address.removeprefix("::ffff:")
