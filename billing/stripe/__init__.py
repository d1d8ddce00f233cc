"""A tenant's own Stripe account: the connection, the catalog there, and who its customers are there.

Owns every conversation with Stripe: ``gateway.py`` and the modules beside it named ``gateway_*`` are the one door, and
answer in values of our own. Does not own what is billed (the ledger) nor what is sent when (pushing).

Invariants: a key that was not proven is never stored; a key of one mode is never used in the other; a refused key stops
everything that would use it and is told once; nothing here is asked for before a call is admitted.
"""
