-- release
-- Deliver after all what is in quarantine. ARGV: namespace, delivery id, how many items are usual from now on or nothing,
-- where that is kept. Returns 'done', 'changed' (it is not in quarantine any more), or 'superseded' (a later delivery of
-- the run took its rows over).
local id = ARGV[2]
local record = record_of('dl', id)
if redis.call('HGET', record, 'state') ~= 'quarantined' then return 'changed' end
if taken_over(id) then return 'superseded' end
local led = led_by('dl', id)
queue_up(id, led)
dispatch('dl', id, clock(), led)
if ARGV[3] ~= '' then
    redis.call('LPUSH', ARGV[4], ARGV[3])
    redis.call('LTRIM', ARGV[4], 0, 19)
    redis.call('PEXPIRE', ARGV[4], 400 * DAY)
end
-- Last: a script that broke off before this has released nothing, and whoever asked for it asks again.
redis.call('HSET', record, 'state', 'waiting', 'reason', '', 'detail', '')
return 'done'
