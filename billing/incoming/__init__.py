"""What Stripe tells by itself: taken in once, from a webhook or by asking, and handled by looking again.

Owns the address that deliveries come to, the inbox, the table of what follows from which event, and the polling. Does
not own what follows: mappings, credit, dunning and pushes do.

Invariants: an event is trusted for what it is about and for nothing else; nothing follows twice from one; no body is
kept or logged; one connection's event never reaches another's rows.
"""
