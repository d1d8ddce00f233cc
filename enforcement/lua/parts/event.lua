-- Append one event, a ledger row to be, at the shard's position (epoch, seq). On the usage stream the shard remembers
-- the last position, so that a budget is not loaded from a ledger that lacks it.
local function append_event(stream, event)
  redis.call(
    'XADD', stream, '*', 'v', '1', 'event_id', event.hold_id .. '.' .. event.kind .. '.' .. int(event.number or 0),
    'kind', event.kind, 'basis', event.basis, 'hold_id', event.hold_id,
    'tenant_id', event.tenant_id, 'mode', event.mode, 'cost', int(event.cost), 'charge', int(event.charge),
    'epoch', int(epoch), 'seq', int(seq), 'at_ms', int(now_ms), 'corrects', event.corrects or '',
    'draws', event.draws, 'body', event.body
  )
end
