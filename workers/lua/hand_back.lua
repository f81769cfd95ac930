-- Give a lease back and come again. ARGV: namespace, kind, id, token, wait in ms, then fields and values.
-- Without a wait the next wake-up is sent at once. Returns 1, or 0 when fenced off.
local kind, id, wait = ARGV[2], ARGV[3], tonumber(ARGV[5])
if not owns(id, ARGV[4]) then return 0 end
local now = clock()
set_fields(record_of(kind, id), 6)
redis.call('DEL', ns .. ':lease:' .. id)
if wait == 0 then
    dispatch(kind, id, now)
else
    redis.call('ZADD', ns .. ':due', whole(now + wait), kind .. ':' .. id)
end
return 1
