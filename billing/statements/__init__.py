"""What a customer is billed for a period, itemised: read from the ledger, exact, with nothing of what it cost.

Which rows are billable, and when, is said once, in ``billing.ledger.billable``; pushes and statements both follow it.
"""
