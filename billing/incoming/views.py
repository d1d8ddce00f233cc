"""The address that Stripe's deliveries come to."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from billing.incoming.receiving import BODY_BYTES_MAX, Receipt, count_refusal, receive

_STATUS = {
    Receipt.TAKEN: 200, Receipt.REPEATED: 200, Receipt.UNKNOWN: 404, Receipt.TOO_LARGE: 413,
    Receipt.SIGNATURE: 400, Receipt.SHAPE: 400, Receipt.LIVEMODE: 400, Receipt.ACCOUNT: 400,
}  # fmt: skip


@csrf_exempt
@require_POST
def stripe_hook(request: HttpRequest, public_id: str) -> HttpResponse:
    """Take a delivery in: proven by its signature, handled later."""
    stated = request.headers.get("Content-Length", "")
    if stated.isdecimal() and int(stated) > BODY_BYTES_MAX:
        count_refusal(Receipt.TOO_LARGE)
        return HttpResponse(status=413)
    # One byte too many tells a body that lied about its length; the rest of it is not read.
    raw = request.read(BODY_BYTES_MAX + 1)
    receipt = receive(public_id, raw, request.headers.get("Stripe-Signature", ""))
    return HttpResponse(status=_STATUS[receipt])
