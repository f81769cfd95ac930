-- Prelude of every script: who is woken now, and who stands in line.
--
-- Every record has a lane: a delivery the one of its target, an event and what comes after a run the one of its source.
-- A lane has so many places (`breadth`); whoever was woken or is worked on holds one, and it lapses unless it is renewed.
-- Whoever finds none stands in the lane's line. So a crowd, or a target that takes for ever, holds its own places and
-- nobody else's, and arq's queue is never longer than all places together.
local FUNCTION = { ev = 'plan', dl = 'deliver', af = 'after' }
local BREADTH = 10
-- Most that one step lets out of a line.
local MOST = 200
-- Transient failures in a row that open the circuit of a target.
local FAULTS = 5

-- Older than whatever stands in a line.
local FIRST = 0

local breadth

-- Where a record leads: its source, and for a delivery also route, target and sink.
local function led_by(kind, id)
    local record = record_of(kind, id)
    if kind == 'ev' then return { source = redis.call('HGET', record, 'source') } end
    return cjson.decode(redis.call('HGET', record, kind == 'dl' and 'delivery' or 'after'))
end

local function lane_of(kind, led)
    if kind == 'dl' then return 'target:' .. led.route .. '/' .. led.target end
    return (kind == 'ev' and 'source:' or 'after:') .. led.source
end

local function has_room(lane, member, now)
    breadth = breadth or tonumber(redis.call('GET', ns .. ':breadth') or BREADTH)
    local places = ns .. ':lane:' .. lane
    if redis.call('ZCARD', places) < breadth then return true end
    redis.call('ZREMRANGEBYSCORE', places, '-inf', whole(now))
    return redis.call('ZCARD', places) < breadth or redis.call('ZSCORE', places, member)
end

local function is_open(name)
    return redis.call('HEXISTS', ns .. ':circuit:' .. name, 'opened') == 1
end

-- What keeps a record from being woken, as the name of the line to stand in: somebody's word, or an open circuit.
local function barrier(kind, led, now)
    local lane, source = lane_of(kind, led), 'source:' .. led.source
    for _, name in ipairs(kind == 'dl' and { lane, 'sink:' .. led.sink, source } or { source }) do
        local till = redis.call('HGET', ns .. ':paused', name)
        if till and (till == '0' or tonumber(till) > now) then return 'paused:' .. name end
    end
    if is_open(source) then return source end
    if kind == 'dl' and is_open(lane) then return lane end
end

-- `at`: from when on it may go; before, only a target that answers again calls it. `due`: looked at then in any case.
local function stand(line, kind, id, at, due)
    local member = kind .. ':' .. id
    redis.call('ZADD', ns .. ':line:' .. line, whole(at), member)
    redis.call('SADD', ns .. ':lines', line)
    redis.call('HSET', record_of(kind, id), 'line', line)
    redis.call('ZADD', ns .. ':due', whole(due), member)
end

-- Returns since when it stood there; nothing or false if it stood in none.
local function leave_line(kind, id)
    local line = redis.call('HGET', record_of(kind, id), 'line')
    local at = line and redis.call('ZSCORE', ns .. ':line:' .. line, kind .. ':' .. id)
    if at then redis.call('ZREM', ns .. ':line:' .. line, kind .. ':' .. id) end
    return at and tonumber(at)
end

-- The wake-up that a record's sequence number stands for.
local function withdraw(id, seq)
    local job = id .. ':' .. whole(seq)
    redis.call('ZREM', ns .. ':queue', job)
    redis.call('DEL', 'arq:job:' .. job)
end

-- A new sequence number: a wake-up whose number is no longer current returns at once. Also returns the place in arq's
-- queue of the one before.
local function renumber(kind, id)
    local seq = redis.call('HINCRBY', record_of(kind, id), 'seq', 1)
    local place = redis.call('ZSCORE', ns .. ':queue', id .. ':' .. whole(seq - 1))
    if seq > 1 then withdraw(id, seq - 1) end
    return seq, place
end

-- An arq job, a place in the lane, and a time after which the sweeper does it again. arq's score lies a day back, so
-- that a worker with a slow clock sees it.
-- missed: how many wake-ups before this one led to nothing. place: in arq's queue, if it had one before.
local function wake(kind, id, now, lane, seq, missed, place)
    local till = now + math.min(MINUTE / 2 * 2 ^ missed, 10 * MINUTE)
    -- The place lapses a little later: the sweeper wakes it anew before anybody takes it for free.
    redis.call('ZADD', ns .. ':lane:' .. lane, whole(till + 5 * SECOND), kind .. ':' .. id)
    redis.call('ZADD', ns .. ':due', whole(till), kind .. ':' .. id)
    local job = id .. ':' .. whole(seq)
    redis.call('PSETEX', 'arq:job:' .. job, DAY,
        '{"t":null,"f":"' .. FUNCTION[kind] .. '","a":["' .. id .. '",' .. whole(seq) .. '],"k":{},"et":' .. whole(now) .. '}')
    redis.call('ZADD', ns .. ':queue', place or whole(now - DAY), job)
end

-- Wake a record, or let it stand in line. `at`: since when it stands there, if it did before; FIRST: before all others,
-- in arq's queue as well.
local function dispatch(kind, id, now, led, at)
    led = led or led_by(kind, id)
    local lane = lane_of(kind, led)
    local seq, place = renumber(kind, id)
    local line = barrier(kind, led, now) or (not has_room(lane, kind .. ':' .. id, now) and lane)
    if line then
        stand(line, kind, id, at or now, now + HOUR)
    else
        if at == FIRST then place = whole(now - 2 * DAY) end
        wake(kind, id, now, lane, seq, redis.call('HINCRBY', record_of(kind, id), 'missed', 1) - 1, place)
    end
end

-- The first of a line that may go: kind, id, since when it stands there. Nothing if there is none.
local function first(line, now)
    local key = ns .. ':line:' .. line
    while true do
        local found = redis.call('ZRANGEBYSCORE', key, '-inf', whole(now), 'WITHSCORES', 'LIMIT', 0, 1)
        if not found[1] then return end
        redis.call('ZREM', key, found[1])
        local kind, id = found[1]:sub(1, 2), found[1]:sub(4)
        local state = redis.call('HGET', record_of(kind, id), 'state')
        if state and not FINAL[state] then return kind, id, tonumber(found[2]) end
    end
end

-- Whether a record was woken and no worker has had a slot for it yet.
local function is_queued(kind, id)
    local seq = redis.call('HGET', record_of(kind, id), 'seq')
    local queued = seq and redis.call('ZSCORE', ns .. ':queue', id .. ':' .. seq)
    return queued and redis.call('EXISTS', ns .. ':lease:' .. id) == 0
end

-- One of a line tries whether the far side answers again: every 15 s, more seldom the longer it does not, every 5 min
-- after an hour. They take turns, so that one that can never succeed does not keep the others waiting; but while workers
-- are busy the one that was woken keeps its turn, and is the next that gets a slot: all that wait wait for its word.
local function probe(line, now, opened)
    local last = redis.call('HGET', ns .. ':circuit:' .. line, 'probe')
    if last and is_queued(last:sub(1, 2), last:sub(4)) then return end
    local kind, id = first(line, now)
    if not kind then return end
    local wait = math.min(math.max((now - opened) / 12, 15 * SECOND), 5 * MINUTE)
    redis.call('HSET', ns .. ':circuit:' .. line, 'probe_at', whole(now + wait), 'probe', kind .. ':' .. id)
    wake(kind, id, now, lane_of(kind, led_by(kind, id)), renumber(kind, id), 2, whole(now - 2 * DAY))
end

local function paused(line, now)
    if line:sub(1, 7) ~= 'paused:' then return false end
    local till = redis.call('HGET', ns .. ':paused', line:sub(8))
    return till and (till == '0' or tonumber(till) > now)
end

-- Let out of a line whoever may go.
local function advance(line, now)
    local key = ns .. ':line:' .. line
    local circuit = redis.call('HMGET', ns .. ':circuit:' .. line, 'opened', 'probe_at')
    if circuit[1] then
        if now >= tonumber(circuit[2]) then probe(line, now, tonumber(circuit[1])) end
    elseif not paused(line, now) then
        for _ = 1, MOST do
            if not has_room(line, '', now) then break end
            local kind, id, at = first(line, now)
            if not kind then break end
            dispatch(kind, id, now, nil, at)
        end
    end
    if redis.call('EXISTS', key) == 0 then redis.call('SREM', ns .. ':lines', line) end
end
