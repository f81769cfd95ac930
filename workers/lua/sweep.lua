-- Dispatch what is overdue: a wake-up was lost, or a wait is over. Then let every line advance: places may have fallen
-- free without a word, a pause may be over, a circuit may want its probe. ARGV: namespace, most to dispatch.
-- Returns how many were dispatched.
local now = clock()
local swept = 0
local overdue = redis.call('ZRANGEBYSCORE', ns .. ':due', '-inf', whole(now), 'WITHSCORES', 'LIMIT', 0, ARGV[2])
for i = 1, #overdue, 2 do
    local member, since = overdue[i], tonumber(overdue[i + 1])
    local kind, id = member:sub(1, 2), member:sub(4)
    local state = redis.call('HGET', record_of(kind, id), 'state')
    local left = redis.call('PTTL', ns .. ':lease:' .. id)
    if not state or FINAL[state] then
        redis.call('ZREM', ns .. ':due', member)
    elseif state == 'quarantined' then
        redis.call('ZADD', ns .. ':due', whole(now + DAY), member)
    elseif left > 0 then
        redis.call('ZADD', ns .. ':due', whole(now + left + SECOND), member)
    else
        -- Nobody loses its place in a line. What somebody died on has waited for its lease to run out: it stands first,
        -- and is woken anew after 7 s already, should that one die, too.
        local at = leave_line(kind, id) or since
        if state == WORKING[kind] then redis.call('HSET', record_of(kind, id), 'missed', -2) end
        local readable = pcall(dispatch, kind, id, now, nil, state == WORKING[kind] and FIRST or at)
        -- One record that nobody can read must not keep the others from their turn.
        if not readable then redis.call('ZADD', ns .. ':due', whole(now + HOUR), member) end
        swept = swept + 1
    end
end
local holds = redis.call('HGETALL', ns .. ':paused')
for i = 1, #holds, 2 do
    if holds[i + 1] ~= '0' and tonumber(holds[i + 1]) <= now then redis.call('HDEL', ns .. ':paused', holds[i]) end
end
-- Behind a circuit that nobody has come to for a day there is perhaps no target any more.
for _, name in ipairs(redis.call('SMEMBERS', ns .. ':open')) do
    local probe_at = tonumber(redis.call('HGET', ns .. ':circuit:' .. name, 'probe_at') or 0)
    if now - probe_at > DAY and redis.call('EXISTS', ns .. ':line:' .. name) == 0 then close(name, now) end
end
for _, line in ipairs(redis.call('SMEMBERS', ns .. ':lines')) do advance(line, now) end
return swept
