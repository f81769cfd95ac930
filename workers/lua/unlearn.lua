-- Forget what a target was last delivered. ARGV: namespace, `route/target`.
-- Returns 'done', 'known' (there is nothing to forget), or 'under_way' (a delivery has compared with it already).
local begun = redis.call('ZRANGEBYSCORE', ns .. ':turns:' .. ARGV[2], 0, 0)
if #begun > 0 then return 'under_way' end
if unlearn(ns .. ':last:' .. ARGV[2]) == 0 then return 'known' end
return 'done'
