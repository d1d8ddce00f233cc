"""Dunning: what happens to a customer's calls while it does not pay, and that it ends when it does.

Owns the tenant's policy and the cases: subscriptions and disputes that are not as they should be, as Stripe says now.
Does not own what people decide about a customer: a restriction stands beside it, and neither lifts the other.

Invariants: a case rests on an object that was read, never on an event's words; what follows is worked out anew from all
open cases; each change names the object at Stripe in its audit entry.
"""
