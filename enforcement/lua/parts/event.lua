-- Append one event: a ledger row to be. Its position is (epoch, seq); the shard remembers the last one appended.
local function append_event(stream, event)
  redis.call(
    'XADD', stream, '*', 'v', '1', 'event_id', event.id, 'kind', event.kind, 'basis', event.basis,
    'hold_id', event.hold_id, 'tenant_id', event.tenant_id, 'mode', event.mode,
    'cost', int(event.cost), 'charge', int(event.charge), 'epoch', int(epoch), 'seq', int(seq), 'at_ms', int(now_ms),
    'corrects', event.corrects, 'draws', event.draws, 'body', event.body
  )
end
