-- Keep a lease. ARGV: namespace, kind, id, token, lease in ms. Returns 1, or 0 when somebody else holds it.
local kind, id, lease_ms = ARGV[2], ARGV[3], tonumber(ARGV[5])
if not owns(id, ARGV[4]) then return 0 end
hold(kind, id, lane_of(kind, led_by(kind, id)), clock(), lease_ms)
return 1
