-- Deliver again what has ended. ARGV: namespace, source, run, then per delivery: id, delivery as JSON, checkpoint as JSON.
-- Returns one word per delivery: 'made', 'under_way' (something of the run is on its way to the same target), or 'known'.
-- What comes after a run is not written on them: it never follows a replay.
local run = ns .. ':run:' .. ARGV[2] .. ':' .. ARGV[3]
local now = clock()

local busy = {}
for _, member in ipairs(redis.call('SMEMBERS', run)) do
    if member:sub(1, 3) == 'dl:' then
        local other = redis.call('HMGET', record_of('dl', member:sub(4)), 'state', 'delivery')
        if other[2] and not FINAL[other[1]] then busy[place_of(cjson.decode(other[2]))] = true end
    end
end

local function make(id, written, checkpoint)
    local delivery = cjson.decode(written)
    if busy[place_of(delivery)] then return 'under_way' end
    if not bear(id, written, checkpoint, 'waiting', now, {}) then return 'known' end
    redis.call('ZADD', ns .. ':cfgs', 'GT', whole(now), delivery.cfg)
    local event = record_of('ev', delivery.event_id)
    local led_to = redis.call('HGET', event, 'deliveries')
    if led_to then redis.call('HSET', event, 'deliveries', led_to .. ' ' .. id) end
    return 'made'
end

local answers = {}
for i = 4, #ARGV, 3 do answers[#answers + 1] = make(ARGV[i], ARGV[i + 1], ARGV[i + 2]) end
return answers
