"""The official library against the simulator, in a virtualenv of its own unless STRIPE_SIM_PYTHON names one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.simulators.stripe.conftest import START, answer_problems, run_stripe

PACKAGES = ["stripe>=16,<17", "httptools", "openapi-schema-validator", "referencing"]
WALK = Path(__file__).with_name("library_walk.py")


def has_library(python: str) -> bool:
    """Say whether a Python has what the walk needs."""
    command = [python, "-c", "import stripe, httptools"]
    # From a folder of its own: beside the tests, "stripe" would be something else.
    return subprocess.run(command, cwd="/", capture_output=True, check=False).returncode == 0


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A Python with the official library."""
    for known in (os.environ.get("STRIPE_SIM_PYTHON", ""), sys.executable):
        if known and has_library(known):
            return known
    home = tmp_path_factory.mktemp("stripe") / "venv"
    made = str(home / "bin" / "python")
    try:
        subprocess.run(
            [sys.executable, "-m", "venv", str(home)], check=True, capture_output=True, timeout=120
        )
        pip = [made, "-m", "pip", "install", "--quiet", *PACKAGES]
        subprocess.run(pip, check=True, capture_output=True, timeout=120)
    except (subprocess.SubprocessError, OSError) as error:
        pytest.skip(f"the official library could not be installed: {error}")
    return made


@pytest.fixture(scope="module")
def met(python: str) -> dict[str, Any]:
    """What the library met."""
    with run_stripe(python=python) as simulator:
        simulator.sim("clock", now=START, frozen=True)
        simulator.sim("keys", key="rk_test_walk", scopes=["billing_meter_event_write"])
        command = [python, str(WALK), simulator.base_url]
        done = subprocess.run(command, cwd="/", capture_output=True, check=False, timeout=60)
        assert done.returncode == 0, done.stderr.decode()
        found: dict[str, Any] = json.loads(done.stdout)
        return found | {"problems": answer_problems(simulator), "checked": simulator.checked}


def test_the_library_bills_a_meter(met: dict[str, Any]) -> None:
    assert (met["summary"], met["preview"], met["line"]) == (15_000_000, 2, "15000000")
    assert met["period"] == START + 31 * 86_400
    assert met["searched"] == [met["customer"]]
    assert (met["unit"], met["paged"]) == ("1E-7", 1)


def test_the_librarys_way_of_writing_small_decimals_is_refused(met: dict[str, Any]) -> None:
    assert met["decimal"].startswith("Invalid decimal: 1E-7")


def test_the_library_reads_duplicates_in_both_namespaces(met: dict[str, Any]) -> None:
    assert met["v1"] == ["InvalidRequestError", "An event already exists with identifier one.", None]
    assert met["v2"] == ["InvalidRequestError", "duplicate_meter_event"]
    assert (met["replayed"], met["other"]) == (["two", "two"], "IdempotencyError")


def test_the_library_reads_reports(met: dict[str, Any]) -> None:
    assert met["report"] == "V1BillingMeterErrorReportTriggeredEvent"
    assert met["samples"]


def test_the_library_reads_refusals(met: dict[str, Any]) -> None:
    assert (met["refused"], met["scoped"]) == ("AuthenticationError", "PermissionError")
    assert (met["missing"], met["unknown"]) == ("resource_missing", "colour")


def test_the_library_opens_sessions_grants_and_endpoints(met: dict[str, Any]) -> None:
    assert (met["session"], met["grant"], met["secret"]) == ("open", 500, "whsec_")


def test_the_library_reads_what_it_is_sent(met: dict[str, Any]) -> None:
    assert (met["snapshot"], met["thin"]) == ("customer.created", "v1.billing.meter.error_report_triggered")
    assert (met["meter_of_thin"], met["fetched"]) == ("spend", 1)
    assert met["forged"] == "SignatureVerificationError"


def test_the_library_tries_again_as_it_does_with_stripe(met: dict[str, Any]) -> None:
    assert met["faults"] == {
        "rate_limited": [1, "RateLimitError"], "lock_timeout": [3, "RateLimitError"],
        "conflict_409": [3, "APIError"], "html_502": [3, "APIError"], "error_500": [3, "APIError"],
        "drop": [3, "APIConnectionError"],
    }  # fmt: skip


def test_no_answer_differs_from_stripes_description(met: dict[str, Any]) -> None:
    if not met["checked"]:
        pytest.skip("the simulator had no description of Stripe's interface to check against")
    assert met["problems"] == {}
