"""The figures of everything behind the proxies, in Prometheus's text form: what the runbook's alerts watch.

Each scrape reads them anew. That a server is away is a figure as well, and the other's are still told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta

from django.db import Error as DatabaseError
from django.db.models import Min
from django.utils import timezone

from billing.incoming.figures import event_figures
from billing.ledger.calibration import Calibration, calibration
from billing.ledger.feed import Feed
from billing.ledger.lag import read_lag
from billing.models import DeadLetter, DriftReport
from billing.pushing.figures import push_figures
from billing.stripe.recon_figures import recon_figures
from enforcement.control_client import ControlClient
from enforcement.errors import EnforcementUnavailable
from enforcement.shard_records import read_records
from enforcement.sweeper import Sweeper
from metering.ids import SHARDS
from tenants.models import Outbox, StoppedModel

Figures = dict[str, float]

# Drift is looked for every ten minutes: what the last hour's checks did not find again has been mended.
DRIFT_SEEN = timedelta(hours=1)
CALIBRATED = timedelta(days=1)
# A series per model: a provider's misspelt models must not become thousands.
CALIBRATED_MODELS_MAX = 50


def metrics_text(client: ControlClient) -> str:
    """Read every figure and write it in Prometheus's text form, version 0.0.4."""
    books = _read(_from_postgresql)
    shards = _read(lambda: _from_redis(client))
    figures = {
        "farebox_postgresql_up": float(bool(books)),
        "farebox_redis_up": float(bool(shards)),
        **books,
        **shards,
        **(_read(lambda: _lag(client)) if books and shards else {}),
        **_read(_calibration),
    }
    return "".join(_lines(figures))


def _lines(figures: Figures) -> Iterator[str]:
    """Each figure, and before the first of a name its type; labels stand in the figure's name."""
    typed = ""
    for figure, value in figures.items():
        name = figure.partition("{")[0]
        if name != typed:
            typed = name
            yield f"# TYPE {name} gauge\n"
        yield f"{figure} {value:.15g}\n"


def _read(figures: Callable[[], Figures]) -> Figures:
    try:
        return figures()
    except (DatabaseError, EnforcementUnavailable):
        return {}


def _from_postgresql() -> Figures:
    now = timezone.now()
    oldest = Outbox.objects.aggregate(at=Min("created_at"))["at"]
    drifting = DriftReport.objects.filter(found_at__gt=now - DRIFT_SEEN)
    return {
        "farebox_dead_letters": DeadLetter.objects.count(),
        "farebox_drifting_windows": drifting.values("budget_id", "window_id").distinct().count(),
        "farebox_outbox_pending": Outbox.objects.count(),
        "farebox_outbox_oldest_seconds": (now - oldest).total_seconds() if oldest else 0,
        **push_figures(),
        **recon_figures(),
        **event_figures(),
    }


def _from_redis(client: ControlClient) -> Figures:
    records = read_records(client, range(SHARDS))
    is_open = [record.state == "open" and record.run_id == record.server_run_id for record in records]
    return {
        "farebox_shards_closed": is_open.count(False),
        "farebox_overdue_holds": Sweeper(client).count_overdue(range(SHARDS)),
    }


def _calibration() -> Figures:
    """Overruns in sum, and of the models most called how well their quotes fit: of today and yesterday in UTC."""
    found = calibration(timezone.now().date() - CALIBRATED)
    figures: Figures = {
        "farebox_overruns": sum(each.cost.above_count for each in found),
        "farebox_stopped_models": StoppedModel.objects.filter(resumed_at=None).count(),
    }
    shown = found[:CALIBRATED_MODELS_MAX]
    for name, read in _CALIBRATED.items():
        for each in shown:
            value = read(each)
            labels = {
                "provider": each.provider,
                "model": each.model,
                "mode": each.mode,
                "bound": each.bound_class,
            }
            text = ",".join(f'{label}="{_escaped(word)}"' for label, word in labels.items())
            figures |= {f"{name}{{{text}}}": value} if value is not None else {}
    return figures


def _escaped(word: str) -> str:
    return word.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


_CALIBRATED: dict[str, Callable[[Calibration], float | None]] = {
    "farebox_calibrated_calls": lambda each: each.calls,
    "farebox_input_above_bound": lambda each: each.input.above_count,
    "farebox_output_above_cap": lambda each: each.output.above_count,
    "farebox_input_bound_unneeded_percent": lambda each: each.input.unneeded_percent,
    "farebox_held_money_unneeded_percent": lambda each: each.cost.unneeded_percent,
}


def _lag(client: ControlClient) -> Figures:
    lag = read_lag(Feed(client), range(SHARDS))
    return {
        "farebox_recorder_oldest_seconds": lag.oldest_ms / 1000,
        "farebox_recorder_backlog_entries": lag.backlog_entries,
        "farebox_shards_behind": lag.shards_behind,
        "farebox_shards_overloaded": lag.shards_overloaded,
        "farebox_usage_stream_entries": lag.stream_entries,
        "farebox_redis_memory_percent": lag.memory_percent,
        "farebox_dead_letters_last_day": lag.dead_letters_last_day,
    }
