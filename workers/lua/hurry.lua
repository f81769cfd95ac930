-- Try now what waits for a far side that had failed. What a person holds stays held. ARGV: namespace, lane, then ids of
-- deliveries that may wait for a time of their own. Returns how many waited.
local now, lane = clock(), ARGV[2]
local waiting = redis.call('ZCARD', ns .. ':line:' .. lane)
if is_open(lane) or waiting > 0 then
    close(lane, now)
    loosen(lane, now)
    advance(lane, now)
end
for i = 3, #ARGV do
    local id = ARGV[i]
    local had = redis.call('HMGET', record_of('dl', id), 'state', 'seq', 'line')
    local stands = had[3] and redis.call('ZSCORE', ns .. ':line:' .. had[3], 'dl:' .. id)
    local woken = had[2] and redis.call('ZSCORE', ns .. ':queue', id .. ':' .. had[2])
    local open = had[1] and not FINAL[had[1]] and had[1] ~= 'quarantined'
    if open and not stands and not woken and redis.call('EXISTS', ns .. ':lease:' .. id) == 0 then
        redis.call('ZADD', ns .. ':due', 'XX', whole(now), 'dl:' .. id)
        waiting = waiting + 1
    end
end
return waiting
