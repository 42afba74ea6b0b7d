"""Requests that turn out to be malformed while they are worked on."""

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

__all__ = ("Http",)


class Http(H11Protocol):
    """uvicorn's, whose application does not know that its request was refused: what it then
    says was an error of the server's, with a traceback in the log.
    """

    def send_400_response(self, msg: str) -> None:
        body_allowed = True
        if self.cycle is not None:
            self.cycle.disconnected = True
            body_allowed = self.cycle.scope["method"] != "HEAD"
        if body_allowed and self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            super().send_400_response(msg)
        else:
            self.transport.close()  # an answer has begun, or may have no body
