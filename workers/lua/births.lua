-- births
-- Prelude of whatever creates deliveries.

-- Deliveries that go one by one: this one has come to where it stands in the order.
local function queue_up(id, led)
    if (led.turn or 0) > 0 then
        redis.call('ZADD', ns .. ':turns:' .. led.route .. '/' .. led.target, whole(led.turn * 1000), id)
    end
end

-- Create a delivery that does not exist yet, and wake its worker, unless its state is `quarantined`: such a one waits
-- for a person. fields: more fields and values of the record.
local function bear(id, written, checkpoint, state, now, fields)
    local record, led = record_of('dl', id), cjson.decode(written)
    if redis.call('HEXISTS', record, 'delivery') == 1 then return false end
    redis.call('ZADD', ns .. ':deliveries', whole(now), id)
    redis.call('SADD', ns .. ':run:' .. led.source .. ':' .. led.run_id, 'dl:' .. id)
    if state == 'quarantined' then
        redis.call('ZADD', ns .. ':due', whole(now + DAY), 'dl:' .. id)
        redis.call('ZADD', ns .. ':quarantined', whole(now), id)
    else
        queue_up(id, led)
        dispatch('dl', id, now, led)
    end
    if #fields > 0 then redis.call('HSET', record, unpack(fields)) end
    -- Last: a script that broke off before this has created nothing, and whoever creates it comes again.
    redis.call('HSET', record, 'v', 1, 'state', state, 'delivery', written, 'checkpoint', checkpoint, 'at', whole(now),
        'attempt', 0)
    return true
end

-- Create what a gate leads to: the announcement that wants it leads to it from now on.
local function lead_to(id, written, checkpoint, state, now, fields)
    if not bear(id, written, checkpoint, state, now, fields) then return end
    local event = record_of('ev', cjson.decode(written).event_id)
    local led_to = redis.call('HGET', event, 'deliveries')
    if led_to then redis.call('HSET', event, 'deliveries', led_to .. ' ' .. id) end
end

-- A run that is as it should be, or that somebody takes for one, is how the next ones may be.
local function count_as_usual(key, items)
    redis.call('LPUSH', key, items)
    redis.call('LTRIM', key, 0, 19)
    redis.call('PEXPIRE', key, 400 * DAY)
end
