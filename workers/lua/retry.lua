-- A dead letter goes on where it stopped. ARGV: namespace, kind, id, when it died, state it goes on in, and for a
-- delivery its checkpoint without the waiting in it.
-- Returns 'done', 'changed' (it is not that dead letter any more), or 'superseded' (a later delivery took its rows over).
local kind, id, checkpoint = ARGV[2], ARGV[3], ARGV[6]
if not dead_since(kind, id, ARGV[4]) then return 'changed' end
local record = record_of(kind, id)
if kind == 'dl' and taken_over(id) then return 'superseded' end
redis.call('HSET', record, 'missed', 0, 'attempt', 0, 'trouble', 0, 'crashes', 0, 'lonely', 0)
if checkpoint then redis.call('HSET', record, 'checkpoint', checkpoint) end
if kind == 'dl' then queue_up(id, led_by(kind, id)) end
dispatch(kind, id, clock())
-- Last: a script that broke off before this has left a dead letter, and whoever asked for it asks again.
redis.call('HSET', record, 'state', ARGV[5], 'ended', 0, 'broken_off', 0)
redis.call('ZREM', ns .. ':dead', kind .. ':' .. id)
return 'done'
