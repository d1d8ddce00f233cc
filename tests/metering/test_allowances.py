from __future__ import annotations

import pytest

from metering.allowances import KINDS, NONE, Allowances
from metering.errors import Uncountable


def test_an_allowance_stands_for_a_part_of_its_kind_alone() -> None:
    allowances = Allowances({"document": 20_000})
    assert allowances.tokens_for("document", part="a", why="b") == 20_000
    with pytest.raises(Uncountable) as refused:
        allowances.tokens_for("video", part="messages[0].content[1].video_url", why="nobody knows")
    assert refused.value.kind == "video"
    assert 'PATCH /api/v1/settings {"allowances": {"video": tokens}}' in str(refused.value)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_nothing_is_allowed_unless_the_tenant_says_so(kind: str) -> None:
    with pytest.raises(Uncountable):
        NONE.tokens_for(kind, part="a", why="b")


def test_a_kind_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="picture"):
        Allowances({"picture": 1})
