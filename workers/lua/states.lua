-- Prelude of the worker's scripts: who may write, and what the end of a turn means for others.
local WORKING = { ev = 'planning', dl = 'running', af = 'running' }
local RESTING = { ev = 'accepted', dl = 'waiting', af = 'waiting' }

-- Fencing: only the newest holder of the lease may change the record.
local function owns(id, token)
    return redis.call('GET', ns .. ':lease:' .. id) == token
end

-- Nobody else gets the lease before this has passed, and only after it the sweeper looks again. The place lapses sooner:
-- a lease is renewed after a third of its life, and the places of the dead are lost to the living.
local function hold(kind, id, lane, now, lease_ms)
    redis.call('PEXPIRE', ns .. ':lease:' .. id, lease_ms)
    redis.call('ZADD', ns .. ':lane:' .. lane, whole(now + lease_ms / 2), kind .. ':' .. id)
    redis.call('ZADD', ns .. ':due', whole(now + lease_ms + 5 * SECOND), kind .. ':' .. id)
end

-- Set the fields ARGV[from], ARGV[from + 1] … of a record.
local function set_fields(record, from)
    for i = from, #ARGV, 2 do redis.call('HSET', record, ARGV[i], ARGV[i + 1]) end
end

-- The same, for more of them than Lua's stack holds.
local function put(key, from)
    for i = from, #ARGV, 2000 do redis.call('HSET', key, unpack(ARGV, i, math.min(i + 1999, #ARGV))) end
end

local function open(name, kind, id, now)
    local said = redis.call('HMGET', record_of(kind, id), 'reason', 'detail')
    redis.call('HSET', ns .. ':circuit:' .. name, 'opened', whole(now), 'probe_at', whole(now + 15 * SECOND),
        'reason', said[1] or '', 'detail', said[2] or '')
    redis.call('PERSIST', ns .. ':circuit:' .. name)
    redis.call('SADD', ns .. ':open', name)
end

-- Whoever waits for a later try may go at once, as places fall free.
local function loosen(line, now)
    local key = ns .. ':line:' .. line
    for _, member in ipairs(redis.call('ZRANGEBYSCORE', key, '(' .. whole(now), '+inf', 'LIMIT', 0, 1000)) do
        redis.call('ZADD', key, whole(now), member)
    end
end

local function close(name, now)
    if is_open(name) then loosen(name, now) end
    redis.call('DEL', ns .. ':circuit:' .. name)
    redis.call('SREM', ns .. ':open', name)
    advance(name, now)
end

local function answered(name, now)
    if redis.call('EXISTS', ns .. ':circuit:' .. name) == 1 then close(name, now) end
end

-- What a turn tells of the far side: `good` (it answers), `read` (the source does, and nothing was asked of the target),
-- `fault` (it has trouble), `refused` (it wants other credentials), `source_refused` (the platform does), or nothing.
local function note(signal, kind, id, led, now)
    local lane, source = lane_of(kind, led), 'source:' .. led.source
    if signal == 'good' or signal == 'read' then answered(source, now) end
    if signal == '' or signal == 'read' then
        -- A probe that tells nothing of what it tried: the next in line need not wait.
        for _, name in ipairs({ lane, source }) do
            local circuit = ns .. ':circuit:' .. name
            if redis.call('HGET', circuit, 'probe') == kind .. ':' .. id then
                redis.call('HSET', circuit, 'probe_at', whole(now))
            end
        end
    elseif signal == 'good' then
        answered(lane, now)
    elseif signal == 'fault' then
        local faults = redis.call('HINCRBY', ns .. ':circuit:' .. lane, 'faults', 1)
        if is_open(lane) then return end
        redis.call('PEXPIRE', ns .. ':circuit:' .. lane, DAY)
        if faults >= FAULTS then open(lane, kind, id, now) end
    elseif signal ~= '' then
        local name = signal == 'refused' and lane or source
        if not is_open(name) then open(name, kind, id, now) end
    end
end

-- The turn is over: the place in the lane is somebody else's.
local function leave(kind, id, lane, now)
    redis.call('DEL', ns .. ':lease:' .. id)
    redis.call('ZREM', ns .. ':lane:' .. lane, kind .. ':' .. id)
    advance(lane, now)
end

-- Whose turn it is now need not wait until it looks itself.
local function call_next(place, now)
    local id = redis.call('ZRANGE', ns .. ':turns:' .. place, 0, 0)[1]
    if not id then return end
    local record = redis.call('HMGET', record_of('dl', id), 'state', 'reason')
    if record[1] == 'waiting' and record[2] == 'in_turn' then dispatch('dl', id, now) end
end

-- Nobody knows any more what the target was last delivered.
local function unlearn(last)
    local by = redis.call('HGET', last, 'by')
    if by then redis.call('UNLINK', ns .. ':next:' .. by) end
    return redis.call('UNLINK', last)
end

-- What the target was last delivered is what this delivery has noted, if nobody else brought it anything meanwhile.
local function learn(id, last, noted)
    if redis.call('HGET', last, 'by') ~= id then
        redis.call('UNLINK', last, noted)
    elseif redis.call('EXISTS', noted) == 1 then
        redis.call('UNLINK', last)
        redis.call('RENAME', noted, last)
    end
end

-- What is known of the target once a delivery has ended: a dead letter may go on, and nobody has noted what a delivery
-- that did not compare has brought. The next one has its turn.
local function settle(id, state, led, now)
    local place, noted = led.route .. '/' .. led.target, ns .. ':next:' .. id
    local last = ns .. ':last:' .. place
    if (led.turn or 0) == 0 then
        -- Of one that is under way all but its notes is kept: they are of no use then, but it goes on with them.
        local under_way = #redis.call('ZRANGEBYSCORE', ns .. ':turns:' .. place, 0, 0) > 0
        if under_way then redis.call('UNLINK', last) else unlearn(last) end
        return
    end
    if state == 'delivered' or state == 'partial' then
        learn(id, last, noted)
    elseif state ~= 'dead' then
        redis.call('UNLINK', noted)
    end
    redis.call('ZREM', ns .. ':turns:' .. place, id)
    call_next(place, now)
end

local function finish(kind, id, state, signal, now)
    local record, led = record_of(kind, id), led_by(kind, id)
    redis.call('HSET', record, 'state', state, 'ended', whole(now))
    redis.call('ZREM', ns .. ':due', kind .. ':' .. id)
    withdraw(id, tonumber(redis.call('HGET', record, 'seq')))
    leave_line(kind, id)
    if kind == 'dl' then settle(id, state, led, now) end
    if state == 'dead' then redis.call('ZADD', ns .. ':dead', whole(now), kind .. ':' .. id) end
    note(signal, kind, id, led, now)
    leave(kind, id, lane_of(kind, led), now)
end
