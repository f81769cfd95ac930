-- Prelude of every script: the one clock (Redis TIME, in ms) and the names of records.
local ns = ARGV[1]
local SECOND = 1000
local MINUTE = 60 * SECOND
local HOUR = 60 * MINUTE
local DAY = 24 * HOUR

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

local FINAL = {
    planned = true, unmatched = true, superseded = true, delivered = true, partial = true, dead = true, dropped = true,
    done = true, kept = true,
}
