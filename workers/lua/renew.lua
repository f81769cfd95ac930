-- Keep a lease. ARGV: namespace, kind, id, token, lease in ms. Returns 1, or 0 when somebody else holds it.
local kind, id, lease_ms = ARGV[2], ARGV[3], tonumber(ARGV[5])
if not owns(id, ARGV[4]) then return 0 end
redis.call('PEXPIRE', ns .. ':lease:' .. id, lease_ms)
redis.call('ZADD', ns .. ':due', 'XX', whole(clock() + lease_ms + 5000), kind .. ':' .. id)
return 1
