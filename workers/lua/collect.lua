-- Ask what of a box of messages is to be sent now. ARGV: namespace, box, id of the message, its text, ms for which the
-- box is shut after one went out, how many texts are kept, ms a bundle may be under way, 1 if one whose end nobody knows
-- is sent again, ms until all of this is forgotten. Returns one of: `sent`; `unknown`; `refused`; `wait` and ms;
-- `go`, name of the bundle, messages in it, 1 if the asker's is one, addresses that have it, texts.
local box, id, now = ns .. ':box:' .. ARGV[2], ARGV[3], clock()
local window, most, longest, keep = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[9])
local waiting, out, texts = box .. ':in', box .. ':out', box .. ':text'

-- What is no good is told once: a person who brings the message back wants it sent.
local said = redis.call('GET', ns .. ':said:' .. id)
if said and said ~= 'sent' then redis.call('DEL', ns .. ':said:' .. id) end
if said then return { said } end

local function kept(answer)
    for _, key in ipairs({ box, waiting, out, texts }) do redis.call('PEXPIRE', key, keep + window) end
    return answer
end

local function go()
    local name = redis.call('HGET', box, 'name') or (whole(now) .. ':' .. id)
    redis.call('HSET', box, 'name', name, 'by', id, 'lost', whole(now + longest))
    local answer = { 'go', name, redis.call('ZCARD', out), redis.call('ZSCORE', out, id) and 1 or 0,
        redis.call('HGET', box, 'reached') or '' }
    for _, one in ipairs(redis.call('ZRANGE', out, 0, -1)) do
        local kept_text = redis.call('HGET', texts, one)
        if kept_text then answer[#answer + 1] = kept_text end
    end
    return kept(answer)
end

if not redis.call('ZSCORE', out, id) and redis.call('ZADD', waiting, 'NX', whole(now), id) == 1
    and ARGV[4] ~= '' and redis.call('ZCARD', waiting) <= most then
    redis.call('HSET', texts, id, ARGV[4])
end

if redis.call('EXISTS', out) == 1 then
    local by, lost = unpack(redis.call('HMGET', box, 'by', 'lost'))
    if by and by ~= id and now < tonumber(lost) then
        return kept({ 'wait', math.min(tonumber(lost) - now, 2 * SECOND) })
    end
    if not by or ARGV[8] == '1' then return go() end
    -- Whoever sent it is gone, or its own turn before this one broke off: these have come to their end.
    for _, one in ipairs(redis.call('ZRANGE', out, 0, -1)) do
        redis.call('SET', ns .. ':said:' .. one, 'unknown', 'PX', keep)
        redis.call('HDEL', texts, one)
    end
    redis.call('DEL', out)
    redis.call('HDEL', box, 'name', 'by', 'lost', 'reached')
    if redis.call('DEL', ns .. ':said:' .. id) == 1 then return { 'unknown' } end
end

local shut = tonumber(redis.call('HGET', box, 'until') or 0)
if now < shut and window > 0 then return kept({ 'wait', math.ceil(math.min(shut - now, window)) }) end
redis.call('RENAME', waiting, out)
redis.call('HSET', box, 'until', whole(now + window))
return go()
