-- judge
-- End a gate: create the deliveries it leads to, and in the same step end it as delivered. ARGV: namespace, id, token,
-- signal (see `note`), how many items are usual from now on or nothing, where that is kept, number of fields of the gate,
-- fields and values …, then per delivery: id, delivery as JSON, checkpoint as JSON, state, reason, detail, facts as JSON.
-- Returns 1, or 0 when fenced off.
local id = ARGV[2]
if not owns(id, ARGV[3]) then return 0 end
local now, record = clock(), record_of('dl', id)
local after = redis.call('HGET', record, 'after')
local at = 8
local fields = {}
for _ = 1, tonumber(ARGV[7]) do
    fields[#fields + 1] = ARGV[at]
    fields[#fields + 1] = ARGV[at + 1]
    at = at + 2
end
for i = at, #ARGV, 7 do
    local more = { 'reason', ARGV[i + 4], 'detail', ARGV[i + 5], 'facts', ARGV[i + 6] }
    if after then
        more[#more + 1] = 'after'
        more[#more + 1] = after
    end
    lead_to(ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3], now, more)
end
if ARGV[5] ~= '' then count_as_usual(ARGV[6], ARGV[5]) end
redis.call('HSET', record, unpack(fields))
finish('dl', id, 'delivered', ARGV[4], now)
slim('dl', id, 'delivered')
return 1
