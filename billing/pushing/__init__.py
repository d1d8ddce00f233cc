"""Pushing: from ledger rows to confirmed meter events, exactly once.

Owns sealing (unsealed sums become pushes whose value never changes), sinks, dispatch with its states and retries, and
the question whether a push was counted. Does not own the ledger, nor the conversation with Stripe itself
(``billing.stripe``), nor the nightly comparison of books. Nothing that admits a call imports or waits for it.

Invariants: what was billed of a customer is ``floor(what the ledger charges / unit)``, the rest is carried; a push is
written before it is sent and its identifier, value, stamp and customer stay as they are; nothing is sent again unless
the sink will know it again; a row of test mode never reaches a live account.
"""
