"""Budgets, holds, limits, policies and the usage stream: everything that is true in Redis.

Owns the Lua scripts and the only code that calls them. Knows Redis and ``metering``; knows no Django, no HTTP, no
PostgreSQL. Invariants I1 to I7 of ``docs/domain.md`` are kept here or nowhere: at every grant spent + held <= limit;
a hold ends exactly once; no hold is forgotten; spent moves by ledger rows only.
"""
