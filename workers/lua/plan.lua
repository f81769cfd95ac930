-- End planning: keep the documents, create each delivery that does not exist yet, wake its worker, end the event.
-- ARGV: namespace, event id, token, event state, number of event fields, fields and values …,
-- number of documents, sha and text …, what comes after as JSON or nothing, then per delivery: id, delivery as JSON,
-- checkpoint as JSON, and of one that is a gate what it leads to (see `LeadsTo`), else nothing.
-- Returns 1, or 0 when fenced off.
local id = ARGV[2]
if not owns(id, ARGV[3]) then return 0 end
local now = clock()

-- The gate of another announcement has judged: this delivery is what it would have led to.
local function follow(gate, kind, written, checkpoint, after)
    local had = redis.call('HMGET', gate, 'reason', 'detail', 'facts', 'accepted')
    local held = (had[1] or '') ~= '' and not had[4]
    if kind == 'told' and not held then return end
    local fields, state = { 'facts', had[3] or '{}' }, 'waiting'
    if kind == 'wanted' and held then
        fields, state = { 'facts', had[3] or '{}', 'reason', had[1], 'detail', had[2] or '' }, 'quarantined'
    end
    if after ~= '' then
        fields[#fields + 1] = 'after'
        fields[#fields + 1] = after
    end
    lead_to(cjson.decode(written).id, written, checkpoint, state, now, fields)
end

-- A gate is there already: another announcement of the same finish led to it, perhaps for fewer targets. It leads to
-- these as well, unless somebody gave it up.
local function join(gate, leads_to, checkpoint, after)
    local had = redis.call('HMGET', gate, 'state', 'leads_to')
    local all = had[2] or ''
    for line, kind, written in leads_to:gmatch('((%a+) ([^\n]+)\n)') do
        if had[1] == 'delivered' then
            follow(gate, kind, written, checkpoint, after)
        elseif not all:find('"id":"' .. cjson.decode(written).id .. '"', 1, true) then
            all = all .. line
        end
    end
    redis.call('HSET', gate, 'leads_to', all)
end

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
local after, anew = ARGV[at], at == #ARGV
for i = at + 1, #ARGV, 4 do
    local fields = {}
    if after ~= '' then fields = { 'after', after } end
    if ARGV[i + 3] ~= '' then
        fields[#fields + 1] = 'leads_to'
        fields[#fields + 1] = ARGV[i + 3]
    end
    if bear(ARGV[i], ARGV[i + 1], ARGV[i + 2], 'waiting', now, fields) then
        anew = true
    elseif ARGV[i + 3] ~= '' then
        anew = true
        join(record_of('dl', ARGV[i]), ARGV[i + 3], ARGV[i + 2], after)
    else
        local told = redis.call('HGET', record_of('dl', ARGV[i]), 'delivery')
        anew = anew or not told or cjson.decode(told).event_id == id
    end
end
-- This one may have said something else, which is not delivered: that is for a person to see.
if not anew then redis.call('HSET', record_of('ev', id), 'reason', 'announced_before') end
finish('ev', id, ARGV[4], 'good', now)
slim('ev', id, ARGV[4])
-- If another announcement has led to all of it already.
drop_body(id)
return 1
