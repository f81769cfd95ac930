-- Remember how far a delivery durably got. ARGV: namespace, id, token, checkpoint, how many items were left out,
-- `<stream>:<row>` and what is kept of each …, then parts of what the target will have been delivered, by name
-- (`anew` in front: without those of before).
-- Returns 1, or 0 when fenced off.
-- Whatever it died of before, it got further.
if not owns(ARGV[2], ARGV[3]) then return 0 end
redis.call('HSET', record_of('dl', ARGV[2]), 'checkpoint', ARGV[4], 'crashes', 0, 'lonely', 0)
local parts = 6 + 2 * tonumber(ARGV[5])
if parts > 6 then
    local bad = ns .. ':bad:' .. ARGV[2]
    redis.call('HSET', bad, unpack(ARGV, 6, parts - 1))
    redis.call('PEXPIRE', bad, 90 * DAY)
end
-- What a delivery has noted goes with the rows it has to send again.
if ARGV[parts] == 'anew' then
    redis.call('UNLINK', ns .. ':next:' .. ARGV[2])
    parts = parts + 2
end
put(ns .. ':next:' .. ARGV[2], parts)
return 1
