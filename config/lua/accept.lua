-- The door. ARGV: namespace, ms to remember an event for, then per event: id, source, run, kind, via, body.
-- Returns one integer per event: 1 accepted (and from now on nobody may lose it), 0 seen before.
local now = clock()
local barriers = {}

local function barrier_of(led)
    if barriers[led.source] == nil then barriers[led.source] = barrier('ev', led, now) or false end
    return barriers[led.source]
end

local answers = {}
for i = 3, #ARGV, 6 do
    local id, source, run = ARGV[i], ARGV[i + 1], ARGV[i + 2]
    if redis.call('EXISTS', ns .. ':seen:' .. id) == 0 then
        local led = { source = source }
        local lane = lane_of('ev', led)
        local line = barrier_of(led) or (not has_room(lane, 'ev:' .. id, now) and lane)
        redis.call('HSET', record_of('ev', id), 'v', 1, 'state', 'accepted', 'source', source, 'run', run,
            'kind', ARGV[i + 3], 'via', ARGV[i + 4], 'body', ARGV[i + 5], 'at', whole(now), 'seq', 1, 'missed', 1)
        redis.call('ZADD', ns .. ':events', whole(now), id)
        redis.call('SADD', ns .. ':run:' .. source .. ':' .. run, 'ev:' .. id)
        if line then stand(line, 'ev', id, now, now + HOUR) else wake('ev', id, now, lane, 1, 0) end
        -- Last: a script that broke off before this has promised nothing, and the sender comes again.
        redis.call('SET', ns .. ':seen:' .. id, whole(now), 'PX', ARGV[2])
        answers[#answers + 1] = 1
    else
        answers[#answers + 1] = 0
    end
end
return answers
