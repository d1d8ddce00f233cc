"""Questions about usage that have no exact answer are refused before anything is read."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from billing.ledger.usage import UsageQuestionError, usage
from tests.billing.test_usage import START, question


@pytest.mark.parametrize(
    ("param", "changes"),
    [
        ("group_by", {"group_by": ("password",)}),
        ("interval", {"interval": "fortnight"}),
        ("zone", {"zone": "Mars/Olympus", "interval": "day"}),
        ("zone", {"zone": "../../etc/passwd"}),
        ("from", {"start": START + timedelta(seconds=1)}),
        ("to", {"end": START}),
    ],
)
def test_a_question_without_an_exact_answer_is_refused(param: str, changes: dict[str, Any]) -> None:
    with pytest.raises(UsageQuestionError) as refused:
        usage(question(**changes))
    assert refused.value.param == param
