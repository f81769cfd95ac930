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

-- An event is kept for longer than its repeats are known: one that comes once more by then begins afresh, whatever it
-- ended as.
local function begin_afresh(id)
    redis.call('HSET', record_of('ev', id), 'ended', 0, 'attempt', 0, 'trouble', 0, 'crashes', 0, 'lonely', 0,
        'broken_off', 0, 'reason', '', 'detail', '')
    redis.call('ZREM', ns .. ':dead', 'ev:' .. id)
end

local function accept(id, source, run, kind, via, body)
    local fields = { 'v', 1, 'state', 'accepted', 'source', source, 'run', run, 'kind', kind, 'via', via, 'body', body,
        'at', at, 'seq', 1, 'missed', 1 }
    -- The first thing written: a Redis that is full refuses a script at its first write, if that needs memory.
    local added = redis.call('HSET', record_of('ev', id), unpack(fields))
    if added < #fields / 2 then begin_afresh(id) end
    redis.call('SADD', ns .. ':run:' .. source .. ':' .. run, 'ev:' .. id)
    add(events, at, id)
    local line = line_for(source, id)
    if line then
        redis.call('HSET', record_of('ev', id), 'line', line)
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
