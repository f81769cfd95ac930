-- Give a lease back and come again. ARGV: namespace, kind, id, token, wait in ms, then fields and values.
-- Without a wait the next wake-up is sent at once. Returns 1, or 0 when fenced off.
local kind, id, wait = ARGV[2], ARGV[3], tonumber(ARGV[5])
if not owns(id, ARGV[4]) then return 0 end
local now = clock()
local record = record_of(kind, id)
set_fields(record, 6)
redis.call('DEL', ns .. ':lease:' .. id)
if wait == 0 then
    dispatch(kind, id, now)
else
    -- The wake-up that led here has had its turn: whoever still holds it must not cut the wait short.
    withdraw(id, redis.call('HINCRBY', record, 'seq', 1) - 1)
    redis.call('ZADD', ns .. ':due', whole(now + wait), kind .. ':' .. id)
end
return 1
