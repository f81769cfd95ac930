-- Go on with a delivery of those that go one by one. ARGV: namespace, id, token, `route/target`, when its run finished (Unix
-- seconds), what is known of all keys if nothing is: what items are compared by, and the sink.
-- Returns {word, what is known of what the target has, what is known of what this delivery has noted}; the word is `go`,
-- `wait` (another one has its turn), `superseded` (the target has a newer run), `overtaken` (another one has been at the
-- target since this one broke off: what it has noted says nothing any more), or `lost` (fenced off).
local id, place, finished, nothing = ARGV[2], ARGV[4], tonumber(ARGV[5]), ARGV[6]
if not owns(id, ARGV[3]) then return { 'lost', '', '' } end
local turns, last, record = ns .. ':turns:' .. place, ns .. ':last:' .. place, record_of('dl', id)

-- Compared is only with what was compared by the same, and told to the same sink. Whoever was here before is not under
-- way any more, and what it has noted is of no use.
local function begin()
    local had, by = redis.call('HGET', last, 'meta'), redis.call('HGET', last, 'by')
    local known, asked = had and cjson.decode(had) or {}, cjson.decode(nothing)
    if known.key ~= asked.key or known.sink ~= asked.sink then redis.call('UNLINK', last) end
    if by and by ~= id then redis.call('UNLINK', ns .. ':next:' .. by) end
    redis.call('HSETNX', last, 'meta', nothing)
    redis.call('HSET', last, 'by', id)
    redis.call('HSET', record, 'begun', 1)
end

redis.call('ZADD', turns, 'NX', whole(finished * 1000), id)
if redis.call('ZRANGE', turns, 0, 0)[1] ~= id then return { 'wait', '', '' } end
local had = redis.call('HGET', last, 'meta')
if had and (cjson.decode(had).finished or 0) > finished then return { 'superseded', '', '' } end
if tonumber(redis.call('ZSCORE', turns, id)) > 0 then
    if redis.call('HGET', record, 'begun') and redis.call('HGET', last, 'by') ~= id then
        redis.call('UNLINK', ns .. ':next:' .. id)
        return { 'overtaken', '', '' }
    end
    begin()
end
-- Whoever has begun stands before all others until it is through, also before older runs that come late: what it has
-- compared must stay what it was.
redis.call('ZADD', turns, 0, id)
return { 'go', redis.call('HGET', last, 'meta') or '', redis.call('HGET', ns .. ':next:' .. id, 'meta') or '' }
