"""Carry out the faults that end a request: at the edge, in the work, or after it."""

from __future__ import annotations

from simulators.stripe.knobs import Fault
from simulators.stripe.refusals import Refused, bad_gateway_html, lock_timeout, rate_limited, server_error
from simulators.stripe.routes import Call


class Failed(Exception):
    """A request is answered by what stands in front of Stripe; what the endpoint did and kept, stays."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status
        self.html = status == 502
        self.body = bad_gateway_html() if self.html else server_error(status).body(v2=False, request_id="")


def fail_at_edge(fault: Fault | None) -> None:
    """Fail before an endpoint begins; nothing is kept under the key."""
    if fault is None:
        return
    match fault.kind:
        case "html_502" if not fault.execute:
            raise Failed(502)
        case "unavailable_503" if not fault.execute:
            raise Failed(503)
        case "rate_limited":
            raise rate_limited(fault.reason or None)
        case "lock_timeout":
            raise lock_timeout(429)
        case "conflict_409":
            raise lock_timeout(409)
        case "unauthorized":
            raise Refused(401, "Expired API Key provided.", code="api_key_expired").unsaved()


def fail_inside(fault: Fault | None, *, done: bool = False) -> None:
    """Fail in the endpoint, or behind its back once the work is done; a v1 key keeps a 500 of the first kind."""
    if fault is None or fault.execute != done:
        return
    match fault.kind:
        case "error_500":
            raise server_error(500)
        case "html_502" if done:
            raise Failed(502)
        case "unavailable_503" if done:
            raise Failed(503)


def promise(fault: Fault | None, call: Call) -> None:
    """Have the meter event of a request be rejected later."""
    if fault is not None and fault.kind == "async_reject":
        call.reject_code = fault.code
