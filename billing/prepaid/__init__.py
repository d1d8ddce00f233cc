"""Prepaid credit: customers who pay first, through a page of Stripe's, and whose budget is what they paid.

Owns the prepaid budget's entries, the top-ups, and the links by which a customer pays without an account here. Does not
own the balance: what is spent of it only enforcement knows.

Invariants: the limit is the sum of the entries, set by nothing else; all entries of one object at Stripe add up to what
that object says when it is read; a payment brings nothing before it arrived, and never takes more than it brought.
"""
