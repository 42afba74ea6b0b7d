"""The mitmproxy addon: hooks become plans, and nothing gets through that was not let through.

mitmproxy forwards a request unmodified when a hook fails. Here that cannot reach anybody: a
flow is forwarded only by its `Plan`, which is the last thing a hook makes, and mitmproxy's
own target is a closed port.
"""

import logging
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

from mitmproxy import ctx, http
from mitmproxy.proxy import commands, layer
from mitmproxy.proxy.layers import modes

from addon.admission import problems
from addon.admission.admit import admit, unfit
from addon.admission.body_room import BodyRoom
from addon.admission.client import head_fault, is_trusted, without_hop_by_hop
from addon.admission.doctor import doctor_principal, snapshot_for
from addon.edge.connect import Places, UpstreamConnections
from addon.edge.convert import failure, fault, header_map, peer_address, response_of
from addon.edge.crowd import SPEAKS_TLS, Crowd
from addon.edge.hearing import leave_out_connections
from addon.edge.http_layer import GatewayHttpLayer
from addon.edge.lifecycle import Lifecycle
from addon.edge.memory import give_back_soon
from addon.edge.plan import FAULT, LlmCall, Plan, Planner, Slices, ToSidecar
from addon.edge.request_log import RequestLog, mask_credentials
from addon.edge.upstream_pool import UpstreamPool, takes_plain_path
from addon.edge.waiting import Waiter
from addon.exchange import local_answers
from addon.exchange.intake import Intake
from addon.exchange.verdict import Reply
from addon.formats.neutral.problem import Problem
from addon.formats.paths import Endpoint, classify
from addon.formats.wire.pace import worked
from addon.node import Node
from shared.config.local import is_local
from shared.config.schema import Server
from shared.model import Principal

__all__ = ("Gateway",)

SMALL_BODY = 64 * 1024
"""Bytes of a request to the sidecar that are read first, so that it can wait for a sidecar
that is just starting; a larger body is passed on as it comes.
"""

EXCHANGE_HEADER = b"x-thinkback-exchange"
"""What `GET /api/my-requests` calls `exchange`: a client finds there what became of its request."""

_MIB = 1024 * 1024
_log = logging.getLogger("thinkback")


class Gateway(Planner):
    """Admits, plans and settles each flow."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self.clock = node.clock
        self._plans: WeakKeyDictionary[http.HTTPFlow, Plan] = WeakKeyDictionary()
        self._crowd = Crowd(lambda: node.snapshot.server, node.clock)
        self.note_tls = partial(self._crowd.tell, why=SPEAKS_TLS)
        self._request_log = RequestLog(node, self._crowd.may_log)
        self.slices = Slices()
        places = Places(lambda: node.snapshot)
        pool = UpstreamPool(places, node.clock)
        self._lifecycle = Lifecycle(node, self._crowd, self.slices, pool)
        self.addons = (self._lifecycle, self._crowd, pool, UpstreamConnections(places), Waiter())
        """mitmproxy calls their hooks too."""

        self.room = BodyRoom()

    @property
    def server(self) -> Server:
        return self._node.snapshot.server

    def hear(self, hook: commands.StartHook) -> Coroutine[Any, Any, None] | None:
        try:
            awaited: Coroutine[Any, Any, None] | None = getattr(self, hook.name)(*hook.args())
        except Exception:
            _log.exception("a hook failed")
            return None
        return awaited

    def plan_of(self, flow: http.HTTPFlow) -> Plan | None:
        return self._plans.get(flow)

    def note_opened(self, flow: http.HTTPFlow, call: LlmCall) -> None:
        self._request_log.debug(call.intake, flow.request.raw_content or b"")

    def note_progress(self, flow: http.HTTPFlow) -> None:
        self._request_log.note_progress(flow)

    def settle(self, flow: http.HTTPFlow, status: int) -> None:
        self._request_log.settle(flow, str(status))

    def let_go(self, flow: http.HTTPFlow) -> None:
        self._crowd.end(flow)
        status = "500" if flow.response is None else str(flow.response.status_code)
        failed = flow.error is not None and flow.error.msg == FAULT
        self._request_log.settle(flow, status, cut="gateway_error" if failed else "")
        if not self.watched:
            flow.request.data.content = b""  # a flow is a cycle: it stays until a collection

    def running(self) -> None:
        give_back_soon()
        if not takes_plain_path():
            self.pool = self._lifecycle.pool
        self.watched = ctx.master.addons.get("view") is not None or len(ctx.options.scripts) > 1
        if not self.watched:
            leave_out_connections(ctx.options.termlog_verbosity)

    def next_layer(self, nextlayer: layer.NextLayer) -> None:
        # Every connection is plain HTTP/1 for the gateway; without this, TLS and raw TCP
        # would be guessed.
        if nextlayer.context.layers and isinstance(
            nextlayer.context.layers[-1], modes.ReverseProxy
        ):
            nextlayer.layer = GatewayHttpLayer(nextlayer.context, self)

    def requestheaders(self, flow: http.HTTPFlow) -> Coroutine[Any, Any, None] | None:
        if self._node.engine.remote:
            job = partial(_plan, flow, self._plan, self._plans)
            return worked(job, self.clock.monotonic)
        _plan(flow, self._plan, self._plans)
        return None

    def request(self, flow: http.HTTPFlow) -> None:
        plan = self._plans.get(flow)
        if isinstance(plan, ToSidecar):
            # Passwords pass here, and a flow is for looking at.
            plan.request.data.content = flow.request.raw_content
            flow.request.data.content = b""

    def responseheaders(self, flow: http.HTTPFlow) -> None:
        if flow.response is not None and isinstance(self._plans.get(flow), ToSidecar):
            flow.response.stream = True
            for name in ("server", "connection", "keep-alive"):
                flow.response.headers.pop(name, None)
            self._request_log.note_page(flow, flow.response)
        self._lifecycle.leaving.send_elsewhere(flow)
        _name_exchange(flow, self._plans.get(flow))

    def response(self, flow: http.HTTPFlow) -> None:
        self._crowd.end(flow)
        if flow.response is None:
            self._request_log.settle(flow, "500")
            return
        self._lifecycle.leaving.send_elsewhere(flow)
        _name_exchange(flow, self._plans.get(flow))
        if flow.response.stream and isinstance(self._plans.get(flow), ToSidecar):
            flow.response.data.content = b""
            # The client has its session; whoever looks at the flow must not get it too.
            flow.response.headers.pop("set-cookie", None)
        self._request_log.settle(flow, str(flow.response.status_code))

    def error(self, flow: http.HTTPFlow) -> None:
        self._crowd.end(flow)
        if flow.error is not None and flow.error.msg == FAULT:
            self.let_go(flow)
        elif self._lifecycle.leaving.cutting:
            self._request_log.settle(flow, "gone", cut="gateway_stopped")
        else:
            self._request_log.settle(flow, "gone", client_left=True)

    def _plan(self, flow: http.HTTPFlow) -> None:
        request = flow.request
        fields, path = request.headers.fields, request.path
        headers = header_map(request.headers)
        mask_credentials(request.headers)
        self._request_log.open(flow, headers)
        wrong = head_fault(request.method, path, request.http_version, fields)
        if wrong or request.authority:
            problem = problems.bad_head(wrong or "a bare path is wanted")
            reply = local_answers.problem_reply(problem, "chat", "")
            # What follows such a head can't be trusted to be a request.
            _answer(flow, reply, {"connection": "close"})
        elif endpoint := classify(path):
            self._plan_endpoint(flow, endpoint, headers)
        else:
            self._plan_sidecar(flow, fields, headers)

    def _plan_endpoint(
        self, flow: http.HTTPFlow, endpoint: Endpoint, headers: dict[str, str]
    ) -> None:
        """Answer what anybody may ask; the rest is for callers that are let in."""
        if endpoint.kind in ("healthz", "readyz"):
            self._request_log.note_routine(flow)
        if flow.request.method == "OPTIONS":
            _answer(flow, local_answers.preflight())
        elif endpoint.kind == "healthz":
            _answer(flow, local_answers.health())
        elif endpoint.kind == "readyz":
            upstreams = len(self._node.snapshot.upstreams)
            reply = local_answers.readiness(
                store_answers=self._node.store_answers(),
                upstreams=upstreams,
                store_lost=self._node.engine.lost,
                leaving=self._lifecycle.leaving.announced,
            )
            _answer(flow, reply)
        elif endpoint.kind in ("unknown", "unknown_messages"):
            problem = problems.not_served(flow.request.method, flow.request.path.partition("?")[0])
            _refuse(flow, problem, endpoint.wire_format, headers)
        elif not self._crowd.begin(flow, self._request_log.client(flow)):
            _refuse(flow, problems.crowded(), endpoint.wire_format, headers)
        else:
            self._admit(flow, endpoint, headers)

    def _admit(self, flow: http.HTTPFlow, endpoint: Endpoint, headers: dict[str, str]) -> None:
        snapshot = self._node.snapshot
        doctor = doctor_principal(headers, snapshot.upstreams, self._node.read_doctor_token)
        caller = doctor or admit(
            headers,
            snapshot,
            find_key=self._node.find_key,
            read_token=self._node.read_token,
            now_ms=self.clock.now_ms(),
        )
        problem: Problem | None
        if isinstance(caller, Problem):
            problem = caller
        else:
            self._request_log.note_caller(flow, caller)
            max_body = snapshot.server.max_body_mib * _MIB
            problem = unfit(endpoint, flow.request.method, headers, max_body)
            if problem is None:
                self._plan_call(flow, endpoint, caller, headers)
                return
        _refuse(flow, problem, endpoint.wire_format, headers)

    def _plan_call(
        self, flow: http.HTTPFlow, endpoint: Endpoint, caller: Principal, headers: dict[str, str]
    ) -> None:
        snapshot = snapshot_for(caller, self._node.snapshot)
        if endpoint.kind == "models" or endpoint.id:
            _answer(flow, _local_reply(self._node, flow, endpoint, caller, headers))
            return
        intake = Intake(self._node.services, snapshot, caller, endpoint, headers)
        self._request_log.note_intake(flow, intake)
        if refusal := intake.admit():
            _answer(flow, refusal)
            return
        max_body = snapshot.server.max_body_mib * _MIB
        coding = headers.get("content-encoding", "")
        self._plans[flow] = LlmCall(intake, max_body, caller.id, coding)

    def _plan_sidecar(
        self, flow: http.HTTPFlow, fields: tuple[tuple[bytes, bytes], ...], headers: dict[str, str]
    ) -> None:
        server = self._node.snapshot.server
        if server.ui == "local":
            reply = local_answers.problem_reply(problems.nothing_here(), "chat", "")
            _answer(flow, reply)
            return
        if not self._crowd.begin(flow, self._request_log.client(flow)):
            _refuse(flow, problems.crowded(), "chat", headers)
            return
        host, _, port = server.admin_addr.rpartition(":")
        request = flow.request.copy()
        request.headers = http.Headers(without_hop_by_hop(fields))
        # What is local has no such header: the sidecar knows it by that.
        if not is_local(peer_address(flow), headers.get("host", ""), headers):
            request.headers["x-forwarded-for"] = self._request_log.client(flow)
            request.headers["x-forwarded-proto"] = _scheme(flow, headers, server.trusted_proxies)
        request.headers["connection"] = "close"
        request.data.host, request.data.port = host.strip("[]"), int(port)
        request.data.scheme, request.data.authority = b"http", b""
        flow.request.stream = _is_large(headers)
        self._plans[flow] = ToSidecar(request)


def _plan(
    flow: http.HTTPFlow,
    plan: Callable[[http.HTTPFlow], None],
    plans: WeakKeyDictionary[http.HTTPFlow, Plan],
) -> None:
    """Plan a flow. Closed by default: whatever fails answers 500, or 503 without the database, and
    leaves no plan.
    """
    try:
        plan(flow)
    except Exception as error:
        plans.pop(flow, None)
        flow.request.headers.pop("expect", None)
        flow.response = fault(flow.request.path, failure(error, _log, "a hook failed"))


def _local_reply(
    node: Node, flow: http.HTTPFlow, endpoint: Endpoint, caller: Principal, headers: dict[str, str]
) -> Reply:
    """The reply to a request that no upstream and no body is needed for."""
    services, agent = node.services, headers.get("user-agent", "")
    if refusal := local_answers.counted(services.meter, caller, endpoint, agent):
        return refusal
    method, target = flow.request.method, flow.request.path
    if endpoint.kind == "models":
        listed = node.listed_models()
        return local_answers.models(node.snapshot, caller, headers, target, listed)
    if endpoint.kind == "model":
        listed = node.listed_models()
        return local_answers.model(node.snapshot, caller, headers, endpoint.id, listed)
    return local_answers.stored(services.answers, caller, endpoint, method, target, agent)


def _answer(flow: http.HTTPFlow, reply: Reply, extra: Mapping[str, str] = {}) -> None:
    # Nobody is asked to go on with a body that nobody reads.
    flow.request.headers.pop("expect", None)
    flow.response = response_of(reply, extra)


def _name_exchange(flow: http.HTTPFlow, plan: Plan | None) -> None:
    """Tell the client by which name the books have its request."""
    if flow.response is not None and isinstance(plan, LlmCall) and plan.intake.kept:
        headers, named = flow.response.headers, (EXCHANGE_HEADER, plan.intake.id.encode())
        if named not in headers.fields:
            headers.fields += (named,)


def _refuse(
    flow: http.HTTPFlow, problem: Problem, wire_format: str, headers: Mapping[str, str]
) -> None:
    agent = headers.get("user-agent", "")
    _answer(flow, local_answers.problem_reply(problem, wire_format, agent))


def _is_large(headers: Mapping[str, str]) -> bool:
    """Whether the body of a request to the sidecar may be more than is read first."""
    length = headers.get("content-length", "0")
    return "transfer-encoding" in headers or not length.isdecimal() or int(length) > SMALL_BODY


def _scheme(flow: http.HTTPFlow, headers: Mapping[str, str], trusted: tuple[str, ...]) -> str:
    """`https` when a trusted proxy in front of us says so."""
    forwarded = headers.get("x-forwarded-proto", "")
    if forwarded == "https" and is_trusted(peer_address(flow), trusted):
        return "https"
    return "http"
