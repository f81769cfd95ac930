-- End a record. ARGV: namespace, kind, id, token, final state, signal (see `note`), then
-- fields and values. Returns 1, or 0 when fenced off.
-- The end of the last delivery of a run's life is where what comes after begins.
local kind, id = ARGV[2], ARGV[3]
if not owns(id, ARGV[4]) then return 0 end
-- Time for other webhooks of the run, which may lead to more deliveries.
local OTHERS = 2 * MINUTE

-- Whether some delivery of the same life, this one and replays apart, is still under way.
local function others_open(after, run)
    for _, member in ipairs(redis.call('SMEMBERS', run)) do
        if member:sub(1, 3) == 'dl:' and member ~= 'dl:' .. id then
            local other = redis.call('HMGET', record_of('dl', member:sub(4)), 'state', 'delivery')
            local one = other[2] and not FINAL[other[1]] and cjson.decode(other[2])
            if one and one.life == after.life and one.generation == 0 then return true end
        end
    end
    return false
end

-- Once; and once more after a dead letter, for whose sake all was kept, has been delivered after all.
local function may_begin(record)
    local had = redis.call('HMGET', record, 'state', 'reason')
    return not had[1] or (had[1] == 'kept' and had[2] == 'not_delivered')
end

local function begin_after(written, now)
    local after = cjson.decode(written)
    local record, run = record_of('af', after.id), ns .. ':run:' .. after.source .. ':' .. after.run_id
    if not may_begin(record) or others_open(after, run) then return end
    redis.call('SADD', run, 'af:' .. after.id)
    redis.call('ZADD', ns .. ':due', whole(now + OTHERS), 'af:' .. after.id)
    -- Last: a script that broke off before this has begun nothing, and the end comes again.
    redis.call('HSETNX', record, 'seq', 0)
    redis.call('HSET', record, 'v', 1, 'state', 'waiting', 'after', written, 'at', whole(now), 'attempt', 0,
        'trouble', 0, 'ended', 0, 'reason', '', 'detail', '')
end

local now = clock()
local written = kind == 'dl' and redis.call('HGET', record_of(kind, id), 'after')
if written then begin_after(written, now) end
set_fields(record_of(kind, id), 7)
finish(kind, id, ARGV[5], ARGV[6], now)
slim(kind, id, ARGV[5])
if kind == 'dl' then drop_body(cjson.decode(redis.call('HGET', record_of(kind, id), 'delivery')).event_id) end
return 1
