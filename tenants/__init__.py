"""Who may do what, with how much: tenants, members, customers, keys, budgets, provider accounts and prices.

Owns the rows, every write to them (``actions``), their projection into Redis (``publishing``) and the control API.
Does not own balances (Redis has them) or usage (``billing`` has it). Invariants: every write leaves an audit entry and
an outbox entry in its own transaction; rows are reached through ``for_tenant`` or ``for_scope`` alone (I7); a row of
mode ``test`` never refers to a row of mode ``live``, and PostgreSQL itself refuses it.
"""
