-- discard
-- Give up what is in quarantine: with `drop` the only way to `dropped`. ARGV: namespace, delivery id.
-- Returns 'done', or 'changed' (it is not in quarantine any more).
local id = ARGV[2]
local record = record_of('dl', id)
if redis.call('HGET', record, 'state') ~= 'quarantined' then return 'changed' end
redis.call('HSET', record, 'state', 'dropped', 'ended', whole(clock()))
redis.call('ZREM', ns .. ':due', 'dl:' .. id)
redis.call('ZREM', ns .. ':quarantined', id)
drop_body(led_by('dl', id).event_id)
return 'done'
