-- Prelude of what people do to records that have ended.

-- Whether the record is the dead letter that was looked at: it may have been retried, and have died again, since.
local function dead_since(kind, id, ended)
    local found = redis.call('HMGET', record_of(kind, id), 'state', 'ended')
    return found[1] == 'dead' and found[2] == ended
end

local function place_of(delivery)
    return #delivery.route .. ':' .. delivery.route .. '/' .. delivery.target
end

-- Whether a delivery made later has gone on to the same target from where this one stopped, or begun again.
local function taken_over(id)
    local found = redis.call('HMGET', record_of('dl', id), 'delivery', 'at')
    local mine, at = cjson.decode(found[1]), tonumber(found[2])
    for _, member in ipairs(redis.call('SMEMBERS', ns .. ':run:' .. mine.source .. ':' .. mine.run_id)) do
        if member:sub(1, 3) == 'dl:' then
            local other = redis.call('HMGET', record_of('dl', member:sub(4)), 'delivery', 'at')
            local one = other[1] and cjson.decode(other[1])
            if one and place_of(one) == place_of(mine) then
                if one.life == mine.life and one.generation > mine.generation then return true end
                if one.life > mine.life and tonumber(other[2]) > at then return true end
            end
        end
    end
    return false
end
