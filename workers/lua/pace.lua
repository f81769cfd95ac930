-- Give the next moment of a paced sink to whoever asks. ARGV: namespace, name of the sink, microseconds between two of
-- its requests, longest wait in ms. Returns ms to wait, the moment being ours; below 0: so long until it is worth asking
-- again, and no moment was given.
local key, interval, longest = ns .. ':pace:' .. ARGV[2], tonumber(ARGV[3]) / 1000, tonumber(ARGV[4])
local now = clock()
local next_one = math.max(now, tonumber(redis.call('GET', key) or 0))
local wait = next_one - now
if wait > longest then return -math.ceil(wait - longest) end
redis.call('SET', key, string.format('%.3f', next_one + interval), 'PX', math.ceil(wait + interval) + 1000)
return math.ceil(wait)
