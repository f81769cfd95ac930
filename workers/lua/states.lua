-- Prelude of the worker's scripts: which states are final, and who may write.
local FINAL = {
    planned = true, unmatched = true, superseded = true, delivered = true, partial = true, dead = true, dropped = true,
    done = true, kept = true,
}
local WORKING = { ev = 'planning', dl = 'running', af = 'running' }

-- Fencing: only the newest holder of the lease may change the record.
local function owns(id, token)
    return redis.call('GET', ns .. ':lease:' .. id) == token
end

local function finish(kind, id, state, now)
    local record = record_of(kind, id)
    redis.call('HSET', record, 'state', state, 'ended', whole(now))
    redis.call('ZREM', ns .. ':due', kind .. ':' .. id)
    redis.call('DEL', ns .. ':lease:' .. id)
    withdraw(id, tonumber(redis.call('HGET', record, 'seq')))
    if state == 'dead' then redis.call('ZADD', ns .. ':dead', whole(now), kind .. ':' .. id) end
end

-- Set the fields ARGV[from], ARGV[from + 1] … of a record.
local function set_fields(record, from)
    for i = from, #ARGV, 2 do redis.call('HSET', record, ARGV[i], ARGV[i + 1]) end
end
