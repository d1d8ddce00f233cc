"""Answers kept under an Idempotency-Key: v1 keeps any answer for a day, v2 a success for thirty."""

from __future__ import annotations

import hashlib
import json

from simulators.stripe.refusals import Refused, invalid
from simulators.stripe.routes import Call
from simulators.stripe.store import Saved

_KEEP_V1_S = 24 * 3600
_KEEP_V2_S = 30 * 24 * 3600
_KEY_CHARS_MAX = 255


def recall(call: Call) -> Saved | None:
    """Find the answer kept for a repeated request, and take the key when it is new; refuse a misuse."""
    if call.method == "GET" or call.idempotency_key is None:
        return None
    if len(call.idempotency_key) > _KEY_CHARS_MAX:
        raise invalid(f"Idempotency keys may be at most {_KEY_CHARS_MAX} characters.").unsaved()
    slot, now_s = _slot(call), call.world.clock.now()
    kept = call.book.saved.get(slot)
    if kept is not None and now_s - kept.saved_s >= (_KEEP_V2_S if call.v2 else _KEEP_V1_S):
        kept = None
    if kept is not None:
        if kept.fingerprint != fingerprint(call):
            raise _other_request(call)
        if not kept.done:
            raise _in_progress(call)
        return kept
    call.book.saved[slot] = Saved(fingerprint(call), 0, b"", call.request_id, now_s, done=False)
    return None


def keep(call: Call, status: int, body: bytes, *, saved: bool) -> None:
    """Keep an answer under the request's key, or give the key back."""
    if call.method == "GET" or call.idempotency_key is None:
        return
    kept = call.book.saved.get(_slot(call))
    if kept is None or kept.request_id != call.request_id:
        return
    # v2 carries out again what failed.
    if not saved or (call.v2 and status >= 400):
        del call.book.saved[_slot(call)]
        return
    kept.status, kept.body = status, body


def release(call: Call) -> None:
    """Let repeats of a request be answered, now that it is."""
    kept = call.book.saved.get(_slot(call))
    if kept is not None and kept.request_id == call.request_id:
        kept.done = True


def fingerprint(call: Call) -> str:
    """Name what a request asks for."""
    text = json.dumps([call.method, call.path, call.params], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _slot(call: Call) -> str:
    return f"{'v2' if call.v2 else 'v1'}:{call.idempotency_key}"


def _other_request(call: Call) -> Refused:
    message = (
        "Keys for idempotent requests can only be used with the same parameters they were first used with. "
        f"Try using a key other than '{call.idempotency_key}' if you meant to execute a different request."
    )
    code = "idempotency_error" if call.v2 else None
    return Refused(400, message, kind="idempotency_error", code=code).unsaved()


def _in_progress(call: Call) -> Refused:
    message = (
        "There is currently another in-progress request using this Idempotent Key (that probably means you "
        f"submitted twice, and the other request is still going through): {call.idempotency_key}."
    )
    return Refused(409, message, code="idempotency_key_in_use", kind="idempotency_error").unsaved()
