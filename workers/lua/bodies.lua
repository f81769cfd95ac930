-- Prelude of whatever may end the last delivery of an event.
local WELL = { delivered = true, partial = true, superseded = true, dropped = true }

-- What a webhook said is kept for those who mend what went wrong, and for templates that use it (`keep_body`). Once
-- every delivery the event led to has ended well, nobody asks for it any more. Deliveries that another event of the
-- same finish led to have that one's.
local function drop_body(event_id)
    local event = record_of('ev', event_id)
    local found = redis.call('HMGET', event, 'deliveries', 'keep_body')
    if not found[1] or found[1] == '' or found[2] then return end
    for id in found[1]:gmatch('%S+') do
        local one = redis.call('HMGET', record_of('dl', id), 'state', 'delivery')
        if one[1] and not WELL[one[1]] and cjson.decode(one[2]).event_id == event_id then return end
    end
    redis.call('HDEL', event, 'body')
end

-- What only whoever works on a record needs; not of a dead letter, which somebody may go on with.
local AT_WORK = { 'missed', 'broken_off', 'alone', 'lonely', 'line', 'trouble' }

-- What has ended well is kept for long, so it is kept small.
local function slim(kind, id, state)
    if not (WELL[state] or state == 'planned') then return end
    local record = record_of(kind, id)
    redis.call('HDEL', record, unpack(AT_WORK))
    for _, name in ipairs({ 'reason', 'detail' }) do
        if redis.call('HGET', record, name) == '' then redis.call('HDEL', record, name) end
    end
end
