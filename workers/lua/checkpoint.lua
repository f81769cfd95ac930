-- Remember how far a delivery durably got. ARGV: namespace, id, token, checkpoint, then `<stream>:<row>` and what is kept
-- of each item that was left out. Returns 1, or 0 when fenced off.
-- Whatever it died of before, it got further.
if not owns(ARGV[2], ARGV[3]) then return 0 end
redis.call('HSET', record_of('dl', ARGV[2]), 'checkpoint', ARGV[4], 'crashes', 0, 'lonely', 0)
if #ARGV > 4 then
    local bad = ns .. ':bad:' .. ARGV[2]
    redis.call('HSET', bad, unpack(ARGV, 5))
    redis.call('PEXPIRE', bad, 90 * DAY)
end
return 1
