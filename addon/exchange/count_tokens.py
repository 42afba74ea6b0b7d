"""A question for the tokens of a request: the upstream that would answer it is asked when
it counts, else they are estimated. It uses no tokens and is in no books, but it is work:
its caller's limits hold, and no spent quota asks.

https://platform.claude.com/docs/en/api/messages-count-tokens
"""

from collections.abc import Mapping

from msgspec.structs import replace

from addon.admission.quota import tokens_in
from addon.exchange.exchange import Exchange, Reply
from addon.exchange.upstream_request import Outgoing, inflated
from addon.formats.messages.listing import decode_count, encode_count
from addon.formats.neutral.turn import File, Image

__all__ = ("Counting",)

_TOKENS_OF_A_PICTURE = 1_600
"""About what a large picture costs (https://platform.claude.com/docs/en/build-with-claude/vision)."""

_JSON = {"content-type": "application/json"}


class Counting(Exchange):
    """The life of one such question; whatever goes wrong at the upstream, there is an estimate."""

    kept = False

    def open(self, body: bytes) -> Reply | None:
        """Decode, route and restore as for the request itself; the reply when no upstream
        needs to be asked.
        """
        self._ticket = self._services.meter.admit(self.principal)
        self._services.meter.refuse_spent(self.principal)
        self._read(body)
        return None if self.candidate.upstream.api == "messages" else self._estimate()

    @property
    def reserved(self) -> bool:
        return True

    @property
    def streams(self) -> bool:
        return False

    @property
    def outgoing(self) -> Outgoing:
        question = super().outgoing
        path, mark, query = question.target.partition("?")
        return replace(question, target=f"{path}/count_tokens{mark}{query}")

    def unreachable(self, why: str) -> Reply | None:
        return self._estimate()

    def refused(self, status: int, headers: Mapping[str, str], body: bytes) -> Reply | None:
        return self._estimate()

    def whole(self, status: int, headers: Mapping[str, str], body: bytes) -> Reply | None:
        tokens = decode_count(inflated(headers, body))
        return self._estimate() if tokens is None else Reply(200, _JSON, encode_count(tokens))

    def _estimate(self) -> Reply:
        """By the bytes that the upstream would get, and what it has counted of others so far."""
        assert self.request is not None
        ratio = self._services.meter.ratio(self.candidate.model)
        parts = (part for message in self.request.messages for part in message.parts)
        pictures = [len(part.url) for part in parts if isinstance(part, Image | File)]
        words = tokens_in(
            max(0, self.made_bytes - sum(pictures)), ratio.prompt_bytes, ratio.prompt_tokens
        )
        tokens = words + _TOKENS_OF_A_PICTURE * len(pictures)
        return Reply(200, _JSON | {"x-thinkback-tokens": "estimated"}, encode_count(tokens))
