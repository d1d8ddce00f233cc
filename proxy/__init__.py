"""The data plane: one raw ASGI callable between a tenant's callers and the LLM providers.

Owns the way of one request (read, caller, quote, reserve, dispatch, relay, cost, settle), the only door to a provider,
and the errors a caller sees. Owns no state that matters: budgets live in ``enforcement``, prices and bounds in
``metering``. Never imports Django, never talks to PostgreSQL.

Invariants: no byte reaches a provider without a granted hold; a route nobody wrote is a 404, never a passthrough; what
happens after the grant goes on when the caller hangs up; every hold is ended exactly once or left to its deadline.
"""
