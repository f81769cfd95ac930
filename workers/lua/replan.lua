-- Plan an event anew that no route wanted. ARGV: namespace, event id, when it ended, how it comes this time.
-- Returns 'done', or 'changed' (it is not that unmatched event any more).
local id = ARGV[2]
local record = record_of('ev', id)
local found = redis.call('HMGET', record, 'state', 'ended')
if found[1] ~= 'unmatched' or found[2] ~= ARGV[3] then return 'changed' end
redis.call('HSET', record, 'via', ARGV[4], 'missed', 0, 'attempt', 0, 'trouble', 0, 'crashes', 0, 'lonely', 0)
dispatch('ev', id, clock())
-- Last: a script that broke off before this has left an unmatched event, and whoever asked for it asks again.
redis.call('HSET', record, 'state', 'accepted', 'ended', 0, 'reason', '', 'detail', '', 'broken_off', 0)
return 'done'
