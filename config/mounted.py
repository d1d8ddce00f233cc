"""Both planes under one port, as `make run` serves them: the proxy's routes first, all else to Django.

In production the planes are processes of their own; here one process answers both, and the proxy still never sees
Django.
"""

from __future__ import annotations

from config.asgi import application as django_application
from proxy.app import app as proxy_application
from proxy.app import is_proxy_path
from proxy.asgi import Receive, Scope, Send


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """Hand a connection to the plane it is for; the lifespan is the proxy's."""
    if scope["type"] == "lifespan" or is_proxy_path(scope["path"]):
        await proxy_application(scope, receive, send)
    else:
        await django_application(scope, receive, send)  # type: ignore[arg-type]  # Django types scope narrower
