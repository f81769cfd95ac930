-- Forget documents of routes that no delivery refers to. ARGV: namespace, ms to keep one after its last use, most to
-- forget. Returns how many were forgotten.
-- A document is used when a delivery with it is born, so whoever refers to one is no younger than its last use: if the
-- oldest delivery there is was born later, nobody does.
local now = clock()
local oldest = redis.call('ZRANGE', ns .. ':deliveries', 0, 0, 'WITHSCORES')[2]
local till = math.min(now - tonumber(ARGV[2]), tonumber(oldest or now) - 1)
local unused = redis.call('ZRANGEBYSCORE', ns .. ':cfgs', '-inf', whole(till), 'LIMIT', 0, ARGV[3])
for _, sha in ipairs(unused) do
    redis.call('DEL', ns .. ':cfg:' .. sha)
    redis.call('ZREM', ns .. ':cfgs', sha)
end
return #unused
