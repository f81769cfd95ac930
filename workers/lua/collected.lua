-- How sending a bundle went. ARGV: namespace, box, name of the bundle, `sent`, `refused`, `failed` or `reached`, ms until
-- all of this is forgotten, and with `reached` the address that has it. Returns 0 if somebody else has the bundle by now.
local box, word = ns .. ':box:' .. ARGV[2], ARGV[4]
local out, texts = box .. ':out', box .. ':text'
if redis.call('HGET', box, 'name') ~= ARGV[3] then return 0 end
if word == 'reached' then
    redis.call('HSET', box, 'reached', (redis.call('HGET', box, 'reached') or '') .. ' ' .. ARGV[6])
elseif word == 'failed' then
    redis.call('HDEL', box, 'by', 'lost')
else
    -- Whoever was refused knows it; the others in the bundle are told when they ask.
    local knows = word == 'refused' and redis.call('HGET', box, 'by')
    for _, id in ipairs(redis.call('ZRANGE', out, 0, -1)) do
        if id ~= knows then redis.call('SET', ns .. ':said:' .. id, word, 'PX', ARGV[5]) end
        redis.call('HDEL', texts, id)
    end
    redis.call('DEL', out)
    redis.call('HDEL', box, 'name', 'by', 'lost', 'reached')
    if tonumber(redis.call('HGET', box, 'until')) <= clock() then redis.call('DEL', box) end
end
return 1
