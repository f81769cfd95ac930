-- Begin work on a record. ARGV: namespace, kind, id, sequence number of the wake-up, lease in ms.
-- Returns {'taken', token, field, value, …}, or {why not}: gone, final, stale (a newer wake-up exists), held.
local kind, id, lease_ms = ARGV[2], ARGV[3], tonumber(ARGV[5])
local record = record_of(kind, id)
local state = redis.call('HGET', record, 'state')
if not state then return { 'gone' } end
if FINAL[state] then return { 'final' } end
if redis.call('HGET', record, 'seq') ~= ARGV[4] then return { 'stale' } end
local lease = ns .. ':lease:' .. id
if redis.call('EXISTS', lease) == 1 then return { 'held' } end

local token = redis.call('HINCRBY', record, 'fence', 1)
redis.call('SET', lease, whole(token), 'PX', lease_ms)
-- Still at work, but without a lease: whoever held it ended without a word.
local broken_off = state == WORKING[kind] and 1 or 0
redis.call('HSET', record, 'state', WORKING[kind], 'broken_off', broken_off, 'missed', 0, 'reason', '', 'detail', '')
-- The sweeper looks again only once nobody can hold the lease any more.
redis.call('ZADD', ns .. ':due', whole(clock() + lease_ms + 5000), kind .. ':' .. id)
local answer = redis.call('HGETALL', record)
table.insert(answer, 1, token)
table.insert(answer, 1, 'taken')
return answer
