-- Prelude of every script: the one clock (Redis TIME, in ms), and the one way to wake a worker.
local ns = ARGV[1]
local MINUTE = 60000
local DAY = 24 * 60 * MINUTE
local FUNCTION = { ev = 'plan', dl = 'deliver', af = 'after' }

local function clock()
    local time = redis.call('TIME')
    return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- Lua would write a large number as 1.7e+12.
local function whole(number)
    return string.format('%.0f', number)
end

local function record_of(kind, id)
    return ns .. ':' .. kind .. ':' .. id
end

-- The id of the wake-up that a record's current sequence number stands for.
local function withdraw(id, seq)
    local job = id .. ':' .. whole(seq)
    redis.call('ZREM', ns .. ':queue', job)
    redis.call('DEL', 'arq:job:' .. job)
end

-- Dispatch: a new sequence number, a new arq job, and a time after which the sweeper does it again. A wake-up whose
-- number is no longer current returns at once. arq's score lies a day back, so that a worker with a slow clock sees it.
local function dispatch(kind, id, now)
    local record = record_of(kind, id)
    local seq = redis.call('HINCRBY', record, 'seq', 1)
    local missed = redis.call('HINCRBY', record, 'missed', 1) - 1
    -- Who waited long keeps the place in the queue.
    local place = redis.call('ZSCORE', ns .. ':queue', id .. ':' .. whole(seq - 1)) or whole(now - DAY)
    if seq > 1 then withdraw(id, seq - 1) end
    redis.call('ZADD', ns .. ':due', whole(now + math.min(MINUTE / 2 * 2 ^ missed, 10 * MINUTE)), kind .. ':' .. id)
    local job = id .. ':' .. whole(seq)
    redis.call('PSETEX', 'arq:job:' .. job, DAY,
        '{"t":null,"f":"' .. FUNCTION[kind] .. '","a":["' .. id .. '",' .. whole(seq) .. '],"k":{},"et":' .. whole(now) .. '}')
    redis.call('ZADD', ns .. ':queue', place, job)
end
