"""The control plane alone: portal and control API."""

from __future__ import annotations

import os

from django.core.asgi import get_asgi_application

from config.celery import app as celery_app

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

application = get_asgi_application()
# What a request queues goes to our broker, not to the one that Celery would take for itself.
celery_app.set_default()
