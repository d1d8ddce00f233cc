"""Base prices under review: what an import would change, whose margin it would turn, and the books as they stand.

Owns no rows of its own: base prices are kept by ``tenants.base_books``, brought in by ``tenants.actions.base_prices``.
"""
