"""A stand-in Stripe on loopback: meters to invoices, with a clock that can be moved, and misbehaving on request.

It is a model of documented behaviour, not Stripe: what is only documented, or seen by others, is done as it was
described. Shares no code with what it judges. Start it with `python -m simulators.stripe --port 9200`; it refuses
to start when FAREBOX_ENV=production. The official library reaches it through `base_addresses`: `api`, `connect`,
`files` and `meter_events`, all the one address printed at start.

Keys: `sk_test_sim`, `rk_test_sim`, `sk_live_sim` and `rk_live_sim` of `acct_sim`, those of `--key KEY[@ACCOUNT]`, and
what `POST /_sim/keys {"key", "account", "scopes", "status"}` adds; `scopes` are permission names without `rak_`.
`POST /_sim/accounts {"account", "platform"}` connects an account for the Stripe-Account header.

Control, all JSON: `POST /_sim/reset`; `/_sim/clock {"now", "advance_s", "frozen"}`; `/_sim/knobs` (`knobs.py` has
them); `/_sim/faults {"kind", "method", "path", "contains", "times", …}`; `/_sim/checkout {"session", "do"}`;
`/_sim/dispute {"payment_intent"}` or `{"dispute", "status"}`; `/_sim/webhooks/flush {"reversed"}`,
`/send {"event", "endpoint", "times", "offset_s", "forged", "changes"}` and `/roll {"endpoint"}`. To read:
`GET /_sim/truth`, `/_sim/usage?customer=…`, `/_sim/log?last=…`, `/_sim/deliveries`.

Assumed where nothing is documented: identifiers are unique across an account's meters, a rejected event's too;
zeros at the end of a value count as digits; a subscription that ends at its edge gets a last invoice, drafted as any
other; webhooks are signed by the wall's clock, whatever the simulated one says; a key without `scopes` may do all.

Left out: tiers, prorations, trials, coupons, taxes, dunning, test clocks, alerts, credit notes, the portal. Parameters
about them are refused or change nothing. Without Stripe's description only the outermost names are checked.

Keeps: an accepted meter event is counted once or rejected with a report; an invoice follows the meters while it is
a draft and never after; each line is rounded once; what is due happens in order, each at its own simulated time.
"""

from __future__ import annotations
