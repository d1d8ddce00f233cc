"""Pure arithmetic and vocabulary: money, tokens, usage, prices, quotes, costs, windows, events.

Owns what a call can cost and what it did cost. Owns no state: no clock (time is an argument), no Redis, no Django,
and no I/O but what it ships with: tables are read from the package once, and where the quick tokenizer does not
load, the reference one's vocabularies are unpacked at the start. Everything above it may import it; it
imports nothing of ours.

Invariants: a quote is never below the cost of any usage the provider may report under its documented limits;
money is ``int`` nano-dollars and rounds up, once, in ``metering.money``.
"""
