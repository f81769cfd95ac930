-- release
-- Deliver after all what is in quarantine. ARGV: namespace, delivery id, id of the gate that held it, where the numbers of
-- items that are usual are kept or nothing.
-- Returns 'done', 'changed' (it is not in quarantine any more), or 'superseded' (a later delivery of the run took its
-- rows over).
local id, gate, usual = ARGV[2], record_of('dl', ARGV[3]), ARGV[4]
local record = record_of('dl', id)
if redis.call('HGET', record, 'state') ~= 'quarantined' then return 'changed' end
if taken_over(id) then return 'superseded' end
local led = led_by('dl', id)
queue_up(id, led)
dispatch('dl', id, clock(), led)
-- What somebody lets go is how it may be from now on. Once, however many targets the run has.
local facts = usual ~= '' and redis.call('EXISTS', gate) == 1 and redis.call('HGET', record, 'facts')
if facts and redis.call('HSETNX', gate, 'accepted', 1) == 1 then
    count_as_usual(usual, cjson.decode(facts).items_read)
end
redis.call('ZREM', ns .. ':quarantined', id)
-- Last: a script that broke off before this has released nothing, and whoever asked for it asks again.
redis.call('HSET', record, 'state', 'waiting', 'reason', '', 'detail', '')
return 'done'
