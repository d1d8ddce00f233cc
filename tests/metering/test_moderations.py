"""Moderations: free by a published price; bounded for who bills them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from metering.allowances import Allowances
from metering.base_prices import find_base
from metering.errors import RequestShapeError, Uncountable, UnpricedModel
from metering.free_models import free_models_of
from metering.moderations import ModerationsRequest, bound_moderations, decode_moderations
from metering.prices import PriceBook
from metering.quote import BoundClass, OutputCap, quote_for
from metering.text_inputs import FRAMING_TOKENS

NOTHING = OutputCap(0, 1, 0, "caller", may_clamp=False)
PICTURE = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}


def request(given_input: Any, **fields: Any) -> ModerationsRequest:
    return decode_moderations(json.dumps({"input": given_input, **fields}).encode())


@pytest.mark.parametrize("model", free_models_of("openai"))
def test_a_moderation_model_is_free_by_a_price_with_a_source(model: str) -> None:
    price = PriceBook().find("openai", model, 0)
    assert price.rates["input"].nanousd_per_mtok == 0
    assert "free" in price.source
    assert model in price.price_id
    quote = quote_for(bound_moderations(request("hello")), NOTHING, price, markup_fixed_nanousd=5)
    assert (quote.cost.at_cap, quote.charge.at_cap) == (0, 0)


def test_it_is_free_where_it_makes_no_output_and_nowhere_else() -> None:
    price = PriceBook().find("openai", "omni-moderation-latest", 0)
    with pytest.raises(UnpricedModel):
        quote_for(bound_moderations(request("hello")), OutputCap(5, 1, 5, "caller", may_clamp=False), price)


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("openai", "omni-moderation-2027-01-01"),
        ("openai", "moderation"),
        ("azure", "omni-moderation-latest"),
        ("mistral", "mistral-moderation-latest"),
    ],
)
def test_an_unknown_moderation_model_has_no_price(provider: str, model: str) -> None:
    assert find_base(provider, model, 0) is None


def test_texts_are_bounded_by_their_bytes() -> None:
    found = bound_moderations(request(["h\u00e9", {"type": "text", "text": "abc"}]), provider="mistral")
    assert (found.tokens, found.bound_class) == (6 + 2 * FRAMING_TOKENS, BoundClass.HARD)
    assert bound_moderations(request("abc")).tokens == 3 + FRAMING_TOKENS


def test_a_picture_is_free_at_openai_and_needs_an_allowance_elsewhere() -> None:
    asked = request([PICTURE])
    assert bound_moderations(asked).tokens == 0
    with pytest.raises(Uncountable, match=r"input\[0\]"):
        bound_moderations(asked, provider="mistral")
    found = bound_moderations(asked, provider="mistral", allowances=Allowances({"image_url": 50}))
    assert (found.tokens, found.image_tokens, found.bound_class) == (50, 50, BoundClass.EMPIRICAL)


@pytest.mark.parametrize(
    "body", [b"{}", b'{"input":""}', b'{"input":[]}', b'{"input":"a","input":"b"}', b'{"input":[5]}']
)
def test_what_is_no_request_is_refused(body: bytes) -> None:
    with pytest.raises(RequestShapeError):
        decode_moderations(body)
