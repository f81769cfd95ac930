-- Give a lease back and come again. ARGV: namespace, kind, id, token, wait in ms, signal (see `note`), then fields and
-- values. Without a wait it is the next in its lane whose turn comes, and this one again after all that stand there.
-- Returns 1, or 0 when fenced off.
local TROUBLE = { fault = true, refused = true, source_refused = true }
local kind, id, wait, signal = ARGV[2], ARGV[3], tonumber(ARGV[5]), ARGV[6]
if not owns(id, ARGV[4]) then return 0 end
local now, led = clock(), led_by(kind, id)
local lane = lane_of(kind, led)
set_fields(record_of(kind, id), 7)
redis.call('HSET', record_of(kind, id), 'broken_off', 0)
-- What has no checkpoints: a turn that ends with a word has gone as far as it could.
if kind ~= 'dl' then redis.call('HSET', record_of(kind, id), 'crashes', 0, 'lonely', 0) end
local seq = redis.call('HGET', record_of(kind, id), 'seq')
note(signal, kind, id, led, now)
local refused = signal == 'source_refused' and 'source:' .. led.source
local shut = refused or (is_open(lane) and lane)
if wait == 0 or (shut and TROUBLE[signal]) then
    stand(shut or lane, kind, id, now, now + HOUR)
elseif signal == 'fault' then
    stand(lane, kind, id, now + wait, now + wait)
else
    redis.call('ZADD', ns .. ':due', whole(now + wait), kind .. ':' .. id)
end
leave(kind, id, lane, now)
-- Whoever it was to wait for may have come to its end since it looked.
if (led.turn or 0) > 0 then call_next(led.route .. '/' .. led.target, now) end
-- The wake-up that led here has had its turn: whoever still holds it must not cut the wait short.
if redis.call('HGET', record_of(kind, id), 'seq') == seq then renumber(kind, id) end
return 1
