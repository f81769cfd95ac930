-- Give a dead letter up: with `discard` the only way to `dropped`. ARGV: namespace, kind, id, when it died.
-- Returns 'done', or 'changed' (it is not that dead letter any more).
local kind, id = ARGV[2], ARGV[3]
if not dead_since(kind, id, ARGV[4]) then return 'changed' end
redis.call('HSET', record_of(kind, id), 'state', 'dropped', 'ended', whole(clock()))
redis.call('ZREM', ns .. ':dead', kind .. ':' .. id)
if kind == 'dl' then redis.call('UNLINK', ns .. ':next:' .. id) end
if kind == 'dl' then drop_body(cjson.decode(redis.call('HGET', record_of(kind, id), 'delivery')).event_id) end
return 'done'
