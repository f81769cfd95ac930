-- Dispatch what is overdue: a wake-up was lost, or a wait is over. ARGV: namespace, most to dispatch.
-- Returns how many were dispatched.
local now = clock()
local swept = 0
for _, member in ipairs(redis.call('ZRANGEBYSCORE', ns .. ':due', '-inf', whole(now), 'LIMIT', 0, ARGV[2])) do
    local kind, id = member:sub(1, 2), member:sub(4)
    local state = redis.call('HGET', record_of(kind, id), 'state')
    local left = redis.call('PTTL', ns .. ':lease:' .. id)
    if not state or FINAL[state] then
        redis.call('ZREM', ns .. ':due', member)
    elseif left > 0 then
        redis.call('ZADD', ns .. ':due', whole(now + left + 1000), member)
    else
        dispatch(kind, id, now)
        swept = swept + 1
    end
end
return swept
