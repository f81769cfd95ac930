-- Begin work on a record. ARGV: namespace, kind, id, sequence number of the wake-up, lease in ms, 1 if nothing else runs
-- in the process.
-- Returns {'taken', token, field, value, …}, for a delivery with `family` (how many records its run has) and what was kept
-- of its run in the event that led to it (`run_snapshot`, `run_body`, `run_via`); or {why not}: gone, final, stale (a newer wake-up exists), held, parked (it
-- stands in line), alone (its holders died on it: only in a process of its own).
local kind, id, lease_ms, alone = ARGV[2], ARGV[3], tonumber(ARGV[5]), ARGV[6]
local SUSPECT = 2
local record, now = record_of(kind, id), clock()
local had = redis.call('HMGET', record, 'state', 'seq', 'alone', 'crashes', 'broken_off')
local state = had[1]
if not state then return { 'gone' } end
if FINAL[state] then return { 'final' } end
if state == 'quarantined' then return { 'held' } end
if had[2] ~= ARGV[4] then return { 'stale' } end
local lease = ns .. ':lease:' .. id
if redis.call('EXISTS', lease) == 1 then return { 'held' } end

local led = led_by(kind, id)
local line = barrier(kind, led, now)
local probing = line and redis.call('HGET', ns .. ':circuit:' .. line, 'probe') == kind .. ':' .. id
if line and not probing then
    renumber(kind, id)
    stand(line, kind, id, now, now + HOUR)
    redis.call('ZREM', ns .. ':lane:' .. lane_of(kind, led), kind .. ':' .. id)
    -- If it was to try whether a far side answers, and is held itself now, another one does.
    note('', kind, id, led, now)
    return { 'parked' }
end

-- Still at work, but without a lease: whoever held it ended without a word.
local broken_off = state == WORKING[kind]
local crashes = tonumber(had[4] or 0)
if broken_off then
    crashes = redis.call('HINCRBY', record, 'crashes', 1)
    if had[3] == '1' then redis.call('HINCRBY', record, 'lonely', 1) end
end
if crashes >= SUSPECT and alone ~= '1' then
    redis.call('HSET', record, 'state', RESTING[kind], 'alone', 'wanted', 'broken_off', broken_off and 1 or had[5] or 0)
    return { 'alone' }
end
if had[3] == 'wanted' and had[5] == '1' then broken_off = true end

local token = redis.call('HINCRBY', record, 'fence', 1)
redis.call('SET', lease, whole(token), 'PX', lease_ms)
redis.call('HSET', record, 'state', WORKING[kind], 'broken_off', broken_off and 1 or 0, 'alone', alone, 'missed', 0,
    'reason', '', 'detail', '')
hold(kind, id, lane_of(kind, led), now, lease_ms)
local answer = redis.call('HGETALL', record)
for i, part in ipairs({ 'taken', token, 'probing', probing and '1' or '0' }) do table.insert(answer, i, part) end
if kind == 'dl' then
    local told = redis.call('HMGET', record_of('ev', led.event_id), 'snapshot', 'body', 'via')
    for i, name in ipairs({ 'run_snapshot', 'run_body', 'run_via' }) do
        if told[i] then
            table.insert(answer, name)
            table.insert(answer, told[i])
        end
    end
    table.insert(answer, 'family')
    table.insert(answer, redis.call('SCARD', ns .. ':run:' .. led.source .. ':' .. led.run_id))
end
return answer
