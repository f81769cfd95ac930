-- Let go what was held or waits for a far side: the word of a person is better than a probe.
-- ARGV: namespace, `<kind>:<name>`. Returns how many waited.
local now, name = clock(), ARGV[2]
local waiting = redis.call('ZCARD', ns .. ':line:paused:' .. name) + redis.call('ZCARD', ns .. ':line:' .. name)
redis.call('HDEL', ns .. ':paused', name)
close(name, now)
loosen(name, now)
advance('paused:' .. name, now)
advance(name, now)
return waiting
