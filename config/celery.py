"""The Celery application: tasks acknowledge late, one at a time, and end within bounds."""

from __future__ import annotations

import os

from celery import Celery
from celery.signals import worker_init

from tenants.reach import work_over_all_tenants

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

app = Celery("farebox")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.conf.update(
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_prefetch_multiplier=1,
    task_time_limit=300,
    task_soft_time_limit=240,
    task_ignore_result=True,
    broker_connection_retry_on_startup=True,
    # Whoever queues something from a page or a webhook must not wait for a broker that is away.
    broker_transport_options={
        "max_retries": 1,
        "interval_start": 0,
        "interval_max": 0.2,
        "socket_connect_timeout": 0.5,
    },
    worker_hijack_root_logger=False,
    # A periodic task that could not run while the worker was down is not owed: the next tick does its work.
    task_default_queue="farebox",
)
app.autodiscover_tasks(["tenants", "billing"])


@worker_init.connect
def see_all_tenants(**_: object) -> None:
    """Say that this process works over all tenants: tasks do, and a web process that queues them does not."""
    work_over_all_tenants()


@app.on_after_finalize.connect
def schedule(sender: Celery, **_: object) -> None:
    """Take the beat schedule from the packages that own the tasks."""
    from billing.tasks import BEAT as BILLING_BEAT
    from tenants.tasks import BEAT as TENANTS_BEAT

    sender.conf.beat_schedule = {**TENANTS_BEAT, **BILLING_BEAT}
