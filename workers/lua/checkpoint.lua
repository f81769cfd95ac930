-- Remember how far a delivery durably got. ARGV: namespace, id, token, checkpoint. Returns 1, or 0 when fenced off.
-- Whatever it died of before, it got further.
if not owns(ARGV[2], ARGV[3]) then return 0 end
redis.call('HSET', record_of('dl', ARGV[2]), 'checkpoint', ARGV[4], 'crashes', 0, 'lonely', 0)
return 1
