"""The composition root: settings, URLs, ASGI applications, Celery, and what `make run` starts.

May import anything; nothing may import it. Owns no business rule.
"""
