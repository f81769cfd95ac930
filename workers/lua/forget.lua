-- Forget what ended long enough ago, the oldest birth first. ARGV: namespace, `dl` or `ev`, ms to keep what has ended,
-- ms to keep dead letters, most records to look at.
-- Each call goes on where the last one stopped; after the youngest that may go, the next begins at the oldest again.
-- Returns {how many were forgotten, how many cannot be read, 1 if this was the last call of the pass}.
local kind, keep, keep_dead, most = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local INDEX = { dl = ns .. ':deliveries', ev = ns .. ':events' }
-- Members of runs that one call looks at before it asks for another one: a run may have been announced ten thousand times.
local ENOUGH = 2000
local now = clock()

local function is_old(state, ended)
    ended = FINAL[state] and tonumber(ended or 0) or 0
    return ended > 0 and ended + (state == 'dead' and keep_dead or keep) <= now
end

local function life_of(written)
    return written and cjson.decode(written).life
end

local runs, looked = {}, 0

-- What is known of a run. `busy`: something is under way or is a dead letter, and may still lean on the rest: on where
-- an earlier delivery stopped, on a later one having taken over, on nothing having been dropped.
-- Nothing is returned if the call has looked at enough.
local function known(run)
    if runs[run] or looked > ENOUGH then return runs[run] end
    local found = { busy = false, deliveries = {}, afters = {} }
    for _, member in ipairs(redis.call('SMEMBERS', run)) do
        local kind, id = member:sub(1, 2), member:sub(4)
        local record = redis.call('HMGET', record_of(kind, id), 'state', 'ended', 'delivery', 'after')
        local state, ended = record[1], record[2]
        if not state then
            redis.call('SREM', run, member)
        elseif not FINAL[state] or (state == 'dead' and not is_old(state, ended)) then
            found.busy = true
        elseif kind == 'dl' then
            local life = life_of(record[3])
            found.deliveries[life] = (found.deliveries[life] or 0) + 1
        elseif kind == 'af' then
            local afters, life = found.afters, life_of(record[4])
            afters[life] = afters[life] or {}
            table.insert(afters[life], { id = id, old = is_old(state, ended) })
        end
        looked = looked + 1
    end
    runs[run] = found
    return found
end

local function remove(kind, id, run)
    redis.call('DEL', record_of(kind, id), ns .. ':lease:' .. id, ns .. ':bad:' .. id, ns .. ':next:' .. id)
    redis.call('ZREM', ns .. ':dead', kind .. ':' .. id)
    redis.call('ZREM', ns .. ':quarantined', id)
    if INDEX[kind] then redis.call('ZREM', INDEX[kind], id) end
    if run then redis.call('SREM', run, kind .. ':' .. id) end
    return true
end

-- What comes after a finish goes with its last delivery, and keeps it until it may go itself.
local function delivery(id)
    local found = redis.call('HMGET', record_of('dl', id), 'state', 'ended', 'delivery')
    if not found[1] then return remove('dl', id) end
    if not is_old(found[1], found[2]) then return false end
    local one = cjson.decode(found[3])
    local run = ns .. ':run:' .. one.source .. ':' .. one.run_id
    local all = known(run)
    if not all then return nil end
    if all.busy then return false end
    local others = (all.deliveries[one.life] or 1) - 1
    local afters = others == 0 and all.afters[one.life] or {}
    for _, after in ipairs(afters) do
        if not after.old then return false end
    end
    for _, after in ipairs(afters) do remove('af', after.id, run) end
    all.deliveries[one.life] = others
    -- For documents from before their use was noted.
    redis.call('ZADD', ns .. ':cfgs', 'NX', whole(now), one.cfg)
    return remove('dl', id, run)
end

-- An event has the run its deliveries read, so it stays as long as one of them.
local function event(id)
    local found = redis.call('HMGET', record_of('ev', id), 'state', 'ended', 'source', 'run', 'deliveries')
    if not found[1] then return remove('ev', id) end
    if not is_old(found[1], found[2]) then return false end
    for one in (found[5] or ''):gmatch('%S+') do
        if redis.call('EXISTS', record_of('dl', one)) == 1 then return false end
    end
    local run = ns .. ':run:' .. found[3] .. ':' .. found[4]
    local all = known(run)
    if not all then return nil end
    return not all.busy and remove('ev', id, run)
end

local FORGET = { dl = delivery, ev = event }
local rank = tonumber(redis.call('HGET', ns .. ':tidying', kind) or 0)
local page = redis.call('ZRANGE', INDEX[kind], rank, rank + most - 1, 'WITHSCORES')
local forgotten, odd, through = 0, 0, #page < 2 * most
for i = 1, #page, 2 do
    if tonumber(page[i + 1]) + keep > now then
        through = true
        break
    end
    local readable, gone = pcall(FORGET[kind], page[i])
    if readable and gone == nil then
        through = false
        break
    end
    if not readable then odd = odd + 1 end
    if readable and gone then forgotten = forgotten + 1 else rank = rank + 1 end
end
if through then
    redis.call('HDEL', ns .. ':tidying', kind)
else
    redis.call('HSET', ns .. ':tidying', kind, rank)
end
return { forgotten, odd, through and 1 or 0 }
