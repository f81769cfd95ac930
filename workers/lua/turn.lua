-- Go on with a delivery of those that go one by one. ARGV: namespace, id, token, `route/target`, when its run finished (Unix
-- seconds), what items are compared by.
-- Returns {word, what is known of what the target has, what is known of what this delivery has noted}; the word is `go`,
-- `wait` (another one has its turn), `superseded` (the target has a newer run), or `lost` (fenced off).
local id, place, finished, key = ARGV[2], ARGV[4], tonumber(ARGV[5]), ARGV[6]
if not owns(id, ARGV[3]) then return { 'lost', '', '' } end
local turns, last = ns .. ':turns:' .. place, ns .. ':last:' .. place
redis.call('ZADD', turns, 'NX', whole(finished * 1000), id)
if redis.call('ZRANGE', turns, 0, 0)[1] ~= id then return { 'wait', '', '' } end
local had = redis.call('HGET', last, 'meta')
local known = had and cjson.decode(had) or {}
if (known.finished or 0) > finished then return { 'superseded', '', '' } end
-- What was compared by something else says nothing any more.
if had and known.key ~= key then
    redis.call('UNLINK', last)
    had = false
end
-- Whoever has begun stands before all others until it is through, also before older runs that come late: what it has
-- compared must stay what it was.
redis.call('ZADD', turns, 0, id)
return { 'go', had or '', redis.call('HGET', ns .. ':next:' .. id, 'meta') or '' }
