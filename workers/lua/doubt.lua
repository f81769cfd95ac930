-- Items are about to be sent: nobody knows from here on what the target has of them. ARGV: namespace, id, token,
-- `route/target`, what is known of all keys if nothing is, buckets and what is in them … Returns 1, or 0 when fenced off.
if not owns(ARGV[2], ARGV[3]) then return 0 end
local last = ns .. ':last:' .. ARGV[4]
redis.call('HSETNX', last, 'meta', ARGV[5])
put(last, 6)
return 1
