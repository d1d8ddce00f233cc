"""What calls cost, end to end: overruns stop a model until somebody resumes it, and every row works out again."""

from __future__ import annotations

import re

from tests.journeys.desk import Desk, code_of
from tests.stack import Stack, wait_for


def test_a_model_that_overruns_its_quotes_is_stopped_until_somebody_resumes_it(
    stack: Stack, acme: Desk
) -> None:
    model = stack.model("sim-exact-over-50", like="sim-exact")
    key = acme.customer("50.00").key
    acme.do("PATCH", "/tenant", {"overrun_stop_count": 3, "overrun_stop_share_percent": "50"})
    for _ in range(3):
        assert acme.chat(key, model, max_tokens=50).status_code == 200

    wait_for(lambda: acme.chat(key, model, max_tokens=50).status_code == 403, "the model is stopped")

    assert code_of(acme.chat(key, model, max_tokens=50)) == (403, "model_stopped")
    assert acme.chat(key, "sim-mini").status_code == 200
    [stop] = [each for each in acme.do("GET", "/stopped-models")["data"] if each["model"] == model]
    assert stop["overruns"] >= 3
    assert "overrun" in stack.log("proxy1")
    assert "model.stopped" in stack.log("worker")
    acme.do("POST", f"/stopped-models/{stop['id']}/resume")
    assert acme.chat(key, model, max_tokens=50).status_code == 200


def test_every_row_works_out_again_from_what_stands_on_it(stack: Stack, acme: Desk) -> None:
    key = acme.customer("50.00").key
    acme.do("PATCH", "/tenant", {"markup_percent": "12.5", "markup_fixed_usd": "0.0001"})
    for model in (
        "sim-mini",
        stack.model("sim-nousage"),
        stack.model("sim-zerousage"),
        stack.model("sim-reset"),
    ):
        acme.chat(key, model, max_tokens=30)
    stack.wait_until_quiet()
    acme.do("PATCH", "/tenant", {"markup_percent": "0", "markup_fixed_usd": "0"})

    told = stack.manage("replay", "--tenant", stack.tenant["tenant"])

    counts = re.match(r"(\d+) rows: (\d+) equal, (\d+) held, 0 different, 0 unpriced", told.splitlines()[-1])
    assert counts, told
    rows, equal, held = map(int, counts.groups())
    assert rows == equal + held
    assert equal >= 2
    assert "openai/sim-mini" in stack.manage("calibration", "--days", "2")
