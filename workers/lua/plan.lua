-- End planning: keep the documents, create each delivery that does not exist yet, wake its worker, end the event.
-- ARGV: namespace, event id, token, event state, number of event fields, fields and values …,
-- number of documents, sha and text …, what comes after as JSON or nothing, then per delivery: id, delivery as JSON,
-- checkpoint as JSON, and of one that is a gate the deliveries it leads to as JSON, else nothing.
-- Returns 1, or 0 when fenced off.
local id = ARGV[2]
if not owns(id, ARGV[3]) then return 0 end
local now = clock()
local at = 6
for _ = 1, tonumber(ARGV[5]) do
    redis.call('HSET', record_of('ev', id), ARGV[at], ARGV[at + 1])
    at = at + 2
end
local documents = tonumber(ARGV[at])
at = at + 1
for _ = 1, documents do
    redis.call('SET', ns .. ':cfg:' .. ARGV[at], ARGV[at + 1], 'NX')
    redis.call('ZADD', ns .. ':cfgs', 'GT', whole(now), ARGV[at])
    at = at + 2
end
local after = ARGV[at]
for i = at + 1, #ARGV, 4 do
    local fields = {}
    if after ~= '' then fields = { 'after', after } end
    if ARGV[i + 3] ~= '' then
        fields[#fields + 1] = 'leads_to'
        fields[#fields + 1] = ARGV[i + 3]
    end
    bear(ARGV[i], ARGV[i + 1], ARGV[i + 2], 'waiting', now, fields)
end
finish('ev', id, ARGV[4], 'good', now)
slim('ev', id, ARGV[4])
-- If another announcement has led to all of it already.
drop_body(id)
return 1
