"""Closing: a tenant's month as it stands, every difference between books, pushes and invoices by name, kept for good.

Owns the comparison over a whole tenant and the closed months. Does not own the books, the pushes or the hours compared
with Stripe (``billing.stripe.reconciling``); it reads them all.

Invariants: everything is read in one snapshot; a closed month is never changed (PostgreSQL refuses it); what is booked
for it later belongs to the month that runs then, so that closed months and the running one always sum to the books.
"""
