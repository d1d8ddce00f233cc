"""What the app and the recorder may do with the books, table by table."""

from __future__ import annotations

READ = "SELECT"
APPEND = "SELECT, INSERT"
KEEP_SUMS = "SELECT, INSERT, UPDATE"

# table: (the app's, the recorder's). The app inserts nothing into the books; the recorder changes no row of them.
RIGHTS: dict[str, tuple[str, str]] = {
    "ledger_row": (READ, APPEND),
    "ledger_link": (READ, APPEND),
    "tag_set": (READ, APPEND),
    "dead_letter": (READ, APPEND),
    "usage_rollup": (READ, KEEP_SUMS),
    "budget_window": (READ, KEEP_SUMS),
    "calibration": (READ, KEEP_SUMS),
    "shard_mark": (READ, KEEP_SUMS),
    # What the sealer takes is gone from here, in the transaction that makes a push of it.
    "unsealed": ("SELECT, UPDATE, DELETE", KEEP_SUMS),
    # A rate that was used is never changed; pushes and attempts are what was told to a sink.
    "exchange_rate": (APPEND, ""),
    "push": (KEEP_SUMS, ""),
    "push_attempt": (KEEP_SUMS, ""),
    # A customer's credit is the sum of what was ever written of it.
    "prepaid_entry": (APPEND, ""),
    "drift_report": (APPEND, ""),
    # What was closed stays as it was.
    "month_close": (APPEND, ""),
    "recon_row": (KEEP_SUMS, ""),
    "period_invoice": (KEEP_SUMS, ""),
}
