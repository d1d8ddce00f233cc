"""The portal's pages that show ledger rows: overview, a customer, requests, unresolved money.

Stands on ``tenants.portal`` for desks, gauges and pages; shares its URL names.
"""
