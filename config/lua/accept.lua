-- The door. ARGV: namespace, ms to remember an event for, then per event: id, source, run, kind, via, body.
-- Returns one integer per event: 1 accepted (and from now on nobody may lose it), 0 seen before.
-- What can be written for all events at once is: a command costs more than what it does.
local now = clock()
local at = whole(now)
local due = whole(now + HOUR)
local waits = {}
local events, stood, dues, seen = {}, {}, {}, {}

local function add(list, score, member)
    list[#list + 1] = score
    list[#list + 1] = member
end

-- The line that an event of this source has to stand in; false if it may go. Within one step nobody leaves a lane.
local function line_for(source, id)
    local lane = 'source:' .. source
    if waits[source] == nil then waits[source] = barrier('ev', { source = source }, now) or false end
    if not waits[source] and not has_room(lane, 'ev:' .. id, now) then waits[source] = lane end
    return waits[source]
end

local function accept(id, source, run, kind, via, body)
    local line = line_for(source, id)
    local fields = { 'v', 1, 'state', 'accepted', 'source', source, 'run', run, 'kind', kind, 'via', via, 'body', body,
        'at', at, 'seq', 1, 'missed', 1 }
    if line then add(fields, 'line', line) end
    redis.call('HSET', record_of('ev', id), unpack(fields))
    redis.call('SADD', ns .. ':run:' .. source .. ':' .. run, 'ev:' .. id)
    add(events, at, id)
    if line then
        stood[line] = stood[line] or {}
        add(stood[line], at, 'ev:' .. id)
        add(dues, due, 'ev:' .. id)
    else
        wake('ev', id, now, 'source:' .. source, 1, 0)
    end
end

local marks = {}
for i = 3, #ARGV, 6 do marks[#marks + 1] = ns .. ':seen:' .. ARGV[i] end
local known = redis.call('MGET', unpack(marks))
local answers = {}
for n, mark in ipairs(marks) do
    answers[n] = 0
    if not (known[n] or seen[mark]) then
        accept(unpack(ARGV, 6 * n - 3, 6 * n + 2))
        seen[mark] = true
        answers[n] = 1
    end
end
if next(seen) then redis.call('ZADD', ns .. ':events', unpack(events)) end
for line, members in pairs(stood) do
    redis.call('ZADD', ns .. ':line:' .. line, unpack(members))
    redis.call('SADD', ns .. ':lines', line)
end
if next(dues) then redis.call('ZADD', ns .. ':due', unpack(dues)) end
-- Last: a script that broke off before this has promised nothing, and the sender comes again.
for mark in pairs(seen) do redis.call('SET', mark, at, 'PX', ARGV[2]) end
return answers
