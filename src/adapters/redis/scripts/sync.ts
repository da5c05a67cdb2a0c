/**
 * SYNC: what `sync` in core/lease/shard.ts does, in the same order, on one shard. It reads the caller's own record, a
 * ledger's sums and at most 8 holders that have lapsed, however many there are.
 *
 *   KEYS   meta · then for each block: ledger, index of when its holders lapse, family (or the ledger once more)
 *   ARGV   nonce · epoch · ancestors, each followed by a comma · label · ttl, grace, learn (ms) · strict (0 or 1) ·
 *          atomic (0 or 1) · wait (ms) · channel of hints ("": none) · the command that publishes · clock (ms; "":
 *          TIME) · id of the history ("": INFO) · then one line for each block, its values separated by |
 *   REPLY  status, clock, fence, then one line for each block
 *
 * Nothing is written before all has been checked: an error in a script takes back nothing.
 */
import { PRELUDE } from "./prelude.ts";

/** In the order of a block's line. */
const CHECK = `
local BLOCK = { 'holder', 'kind', 'seq', 'granted', 'spent', 'returned', 'beyond', 'overage', 'refunded', 'want',
  'need', 'demand', 'mean', 'w_fence', 'w_version', 'w_used', 'close', 'open_ms', 'life_ms', 'spec_version',
  'capacity', 'overdraft', 'units', 'every', 'rollover', 'carry_debt', 'start', 'stop' }
local HEAD, DURATION_MAX, DEMAND_MAX = 14, 2 ^ 39, 2 ^ 40
local KINDS = { budget = true, rate = true, slots = true }

local now_raw = clock_of(ARGV[13])
local function refuse(status) return { status, text(now_raw), '0' } end

local function whole(word)
  local x = tonumber(word)
  if not x or x < 0 or x > MAX or x % 1 ~= 0 then return nil end
  return x
end
local function duration(word)
  local x = whole(word)
  if not x or x > DURATION_MAX then return nil end
  return x
end
local function is_hex(word, least, most)
  return #word >= least and #word <= most and string.find(word, '^[0-9a-f]+$') ~= nil
end

-- well-formed.ts
local nonce, epoch, ancestors, label = ARGV[1], whole(ARGV[2]), ARGV[3], ARGV[4]
local ttl, grace, learn = duration(ARGV[5]), duration(ARGV[6]), duration(ARGV[7])
local strict, atomic, wait = ARGV[8] == '1', ARGV[9] == '1', duration(ARGV[10])
local count = #ARGV - HEAD
if count < 1 or count > 16 or not (epoch and ttl and grace and learn and wait) then return refuse('bad') end
if not is_hex(nonce, 1, 32) then return refuse('bad') end
for ancestor in string.gmatch(ancestors, '[^,]*,') do
  if not is_hex(string.sub(ancestor, 1, -2), 1, 32) then return refuse('bad') end
end

local function read_block(line)
  local b, i = {}, 0
  for word in string.gmatch(line, '[^|]+') do
    i = i + 1
    if i <= 2 then b[BLOCK[i]] = word
    elseif i <= #BLOCK then
      local x = whole(word)
      if not x then return nil end
      b[BLOCK[i]] = x
    end
  end
  if i ~= #BLOCK or not KINDS[b.kind] or not is_hex(b.holder, 13, 32) then return nil end
  if b.seq < 1 or b.stop <= b.start or b.w_fence >= MAX or b.every < 1 or b.every > DURATION_MAX then return nil end
  if b.granted + b.beyond > MAX or b.granted + b.beyond < b.spent + b.returned then return nil end
  if b.overage > b.beyond or b.refunded > b.spent then return nil end
  if b.close > 2 or (b.close == 2 and b.kind ~= 'budget') then return nil end
  if b.kind == 'slots' then if b.spent > 0 then return nil end
  elseif b.kind ~= 'rate' and b.refunded > 0 then return nil end
  return b
end

local blocks, seen, known_fence = {}, {}, 0
for i = 1, count do
  local b = read_block(ARGV[HEAD + i])
  if not b then return refuse('bad') end
  b.key, b.index, b.family_key = KEYS[3 * i - 1], KEYS[3 * i], KEYS[3 * i + 1]
  if seen[b.key] then return refuse('bad') end
  seen[b.key] = true
  if b.family_key ~= b.key and b.kind ~= 'budget' then return refuse('bad') end
  known_fence = max(known_fence, b.w_fence)
  b.knows = b.granted > 0 or b.w_version > 0
  blocks[i] = b
end

local clock, history_id = now_raw, history_of(ARGV[14])

-- Reads all that this call may need.
for _, b in ipairs(blocks) do
  local found = call('HMGET', b.key, 'ledger', 'h:' .. b.holder)
  if found[1] then
    if tonumber(string.match(found[1], '^%d+')) > SCHEMA then return refuse('newer') end
    local l = parse(found[1], LEDGER)
    if l.life_end > clock then
      b.ledger = l
      l.waiting = {}
      for holder, need, till in string.gmatch(l.waiters, '([0-9a-f]+):(%d+):(%d+)') do
        l.waiting[#l.waiting + 1] = { holder = holder, need = tonumber(need), till = tonumber(till) }
      end
      if found[2] then b.known = parse(found[2], RECORD) end
    end
  end
end

-- shard.ts: metaOf
local meta_line = call('HMGET', KEYS[1], 'history', 'fence', 'learning_until', 'latest', 'may_end_early')
local meta
if meta_line[1] then
  meta = { history = meta_line[1], fence = tonumber(meta_line[2]), learning_until = tonumber(meta_line[3]),
    latest = tonumber(meta_line[4]), may_end_early = tonumber(meta_line[5]) }
end
local function begin(may_end_early)
  local fence = max((meta and meta.fence or -1) + 1, clock, known_fence + 1)
  return { history = history_id, fence = fence, learning_until = clock + learn, latest = clock,
    may_end_early = may_end_early and 1 or 0 }
end
if not meta then meta = begin(false)
elseif meta.history ~= history_id then meta = begin(strict)
else
  local is_another = known_fence > meta.fence or meta.latest - clock > 60000
  for _, b in ipairs(blocks) do
    local l = b.ledger
    if l and l.fence == meta.fence and b.w_fence == l.fence and b.w_version > l.version then is_another = true end
  end
  if is_another then meta = begin(false) else meta.latest = max(meta.latest, clock) end
end
local now = meta.latest

-- shared-ledger.ts: createSharedLedger
local function create(b)
  local l = { waiting = {}, is_new = true }
  for _, name in ipairs(LEDGER) do l[name] = 0 end
  for _, name in ipairs({ 'kind', 'spec_version', 'capacity', 'overdraft', 'units', 'every', 'rollover',
    'carry_debt', 'start', 'stop' }) do l[name] = b[name] end
  l.schema, l.fence, l.since, l.at = SCHEMA, meta.fence, now, 0
  l.learning_until = b.knows and max(meta.learning_until, now + learn) or meta.learning_until
  if l.kind == 'rate' then
    local is_lost = b.knows or now < meta.learning_until
    l.level, l.at = is_lost and 0 - bookable(l) or l.capacity, clock
    l.cautious_until = is_lost and now + learn or 0
  end
  return l
end

local function is_forfeited(l, record) return record.state == 'expired' and l.kind ~= 'budget' end

-- holder-record.ts: heard, fits
local function heard(l, r, b)
  local granted = r.granted
  if is_forfeited(l, r) then granted = r.spent + r.returned - r.beyond end
  return { granted = max(granted, b.granted), spent = max(r.spent, b.spent), returned = max(r.returned, b.returned),
    beyond = max(r.beyond, b.beyond) }
end
local UNHEARD = { granted = 0, spent = 0, returned = 0, beyond = 0, state = 'live' }
local function fits(l, known, b)
  local before = known or UNHEARD
  local after = out_of(heard(l, before, b))
  local is_out = before.state == 'live' and out_of(before) or 0
  local is_held_back = before.state == 'expired' and l.kind == 'budget' and out_of(before) or 0
  return after >= 0 and l.out - is_out + (l.quarantined - is_held_back) + after <= MAX
end

-- shard.ts: refusal
for _, b in ipairs(blocks) do
  b.ledger = b.ledger or create(b)
  local l, known = b.ledger, b.known
  if l.kind ~= b.kind then return refuse('bad') end
  if known then
    local is_heir = nonce == known.nonce and epoch == known.epoch
    if nonce ~= known.nonce then
      is_heir = epoch > known.epoch and string.find(',' .. ancestors, ',' .. known.nonce .. ',', 1, true) ~= nil
    end
    if not is_heir then return refuse('stale') end
  else
    local learning_until = l.fence == meta.fence and l.learning_until or meta.learning_until
    if b.knows and minted_at(b.holder) <= l.folded_mint and now >= learning_until then return refuse('stale') end
  end
  if not fits(l, known, b) then return refuse('bad') end
end
`;

/** Past its beginning nothing is refused. */
const SETTLE = `
-- Past this line nothing is refused.
local function learning_ms(l)
  if l.kind == 'rate' or (l.may_end_early == 1 and l.missing == 0) then return 0 end
  return max(0, l.learning_until - now)
end

local function cross(l)
  l.lost_fence, l.lost_version, l.lost_used = l.fence, l.version, 0
  l.explained = at_most(l.settled + l.out + l.quarantined)
  l.fence, l.since, l.learning_until, l.may_end_early = meta.fence, clock, meta.learning_until, meta.may_end_early
  l.missing, l.waiting = l.live, {}
  if l.kind == 'rate' then
    l.level, l.remainder, l.at, l.cautious_until = min(l.level, 0 - bookable(l)), 0, clock, clock + learn
  end
end

-- ledger.ts: respec
local function respec(l, b)
  if l.kind == 'rate' then
    l.level = max(l.level + b.capacity - l.capacity, min(l.level, 0))
    if b.every ~= l.every then l.remainder = 0 end
  end
  for _, name in ipairs({ 'spec_version', 'capacity', 'overdraft', 'units', 'every', 'rollover', 'carry_debt' }) do
    l[name] = b[name]
  end
end

local function hear_demand(l, r, demand, mean)
  local of = min(demand, DEMAND_MAX)
  l.askers = l.askers + (of > 0 and 1 or 0) - (r.demand > 0 and 1 or 0)
  l.demand = l.demand + of - r.demand
  r.demand = of
  if mean > 0 then l.mean = l.mean + (l.mean > 0 and floor((mean - l.mean) / 16) or mean) end
end

local function leave(l, r)
  hear_demand(l, r, 0, 0)
  l.live = l.live - 1
end

local function lapse(l, r, expires_at)
  leave(l, r)
  if r.fence ~= l.fence and l.missing > 0 then l.missing = l.missing - 1 end
  l.out = l.out - out_of(r)
  if l.kind == 'budget' then l.quarantined = l.quarantined + out_of(r) end
  r.state, r.expires_at = 'expired', expires_at
end

local FOLD_MS, RECLAIMED_MAX = 3600000, 8
local function reclaim(b)
  local l = b.ledger
  if l.is_new or now < l.learning_until then return end
  local done = 0
  for _, id in ipairs(call('ZRANGEBYSCORE', b.index, '-inf', text(now), 'LIMIT', 0, RECLAIMED_MAX + 1)) do
    if id ~= b.holder and done < RECLAIMED_MAX then
      done = done + 1
      local line = call('HGET', b.key, 'h:' .. id)
      local r = line and parse(line, RECORD)
      if r and r.state == 'live' then
        lapse(l, r, l.kind == 'budget' and NEVER or now + FOLD_MS)
        b.lapsed[id] = r
      else
        if r then fold(l, id, r) end
        b.folded[#b.folded + 1] = id
      end
    end
  end
end

local function hear_witness(l, b)
  if l.kind ~= 'budget' or b.w_fence == 0 or b.w_fence >= l.fence then return end
  if b.w_fence > l.lost_fence then l.lost_fence, l.lost_version, l.lost_used = b.w_fence, 0, 0 end
  if b.w_fence == l.lost_fence and b.w_version > l.lost_version then
    l.lost_version, l.lost_used = b.w_version, b.w_used
  end
end

local function absorb(b)
  local l, r = b.ledger, b.record
  local was_expired = r.state == 'expired'
  local is_history = not b.known and b.knows
  local is_first = is_history or r.fence ~= l.fence
  if r.state == 'live' then l.out = l.out - out_of(r) end
  if was_expired and l.kind == 'budget' then l.quarantined = l.quarantined - out_of(r) end
  local after = heard(l, r, b)
  if r.state ~= 'live' then
    r.state = 'live'
    l.live = l.live + 1
  elseif r.fence ~= l.fence and l.missing > 0 then l.missing = l.missing - 1 end
  r.fence = l.fence
  local granted, spent = grow(r.granted, after.granted), grow(r.spent, after.spent)
  local returned, beyond = grow(r.returned, after.returned), grow(r.beyond, after.beyond)
  r.granted, r.spent, r.returned, r.beyond = after.granted, after.spent, after.returned, after.beyond
  l.out = l.out + out_of(r)
  l.settled = at_most(l.settled + spent)
  if is_first then l.explained = at_most(l.explained + (granted - returned) + beyond) end
  local overage, refunded = grow(r.overage, b.overage), grow(r.refunded, b.refunded)
  r.overage, r.refunded = r.overage + overage, r.refunded + refunded
  if l.kind == 'rate' then
    local back = (was_expired and 0 or returned) + refunded
    if not is_history then settle_rate(l, back, beyond, rate_cap(l, now) - l.out) end
  else l.owed = at_most(l.owed + overage) end
  return returned
end

local function expiry_of(b)
  return at_most(now + (b.kind == 'slots' and max(ttl, b.open_ms) or ttl) + grace)
end

local families = {}
local function family_of(b)
  if b.family_key == b.key then return nil end
  local family = families[b.family_key] or load_family(b.family_key, clock)
  families[b.family_key] = family
  return family
end

for _, b in ipairs(blocks) do
  local l = b.ledger
  b.lapsed, b.folded, b.back = {}, {}, 0
  if l.fence ~= meta.fence then cross(l)
  elseif b.knows and b.w_fence < l.fence and now < l.learning_until then
    l.learning_until = max(l.learning_until, l.since + learn)
  end
  if b.spec_version > l.spec_version then respec(l, b) end
  local r = b.known
  if not r then
    r = { epoch = epoch, nonce = nonce, label = label, state = 'live', fence = l.fence, seq = 0, granted = 0,
      spent = 0, returned = 0, beyond = 0, overage = 0, refunded = 0, expires_at = 0, demand = 0 }
    l.live = l.live + 1
  elseif r.nonce ~= nonce then r.nonce, r.epoch, r.label, r.seq = nonce, epoch, label, 0 end
  b.record = r
  if b.seq > r.seq then b.status = 'ok'
  elseif b.seq == r.seq and not is_forfeited(l, r) then b.status = 'duplicate'
  else b.status = 'stale' end
  local family = family_of(b)
  if family then from_family(family, l, label_of(b.key), now) end
  if b.status == 'duplicate' and r.state == 'live' then r.expires_at = expiry_of(b) end
  if b.status == 'ok' then
    r.seq = b.seq
    hear_witness(l, b)
    refill_to(l, clock, now)
    b.back = absorb(b)
    reclaim(b)
    balance(l, now)
    hear_demand(l, r, b.demand, b.mean)
  end
  if family then to_family(family, l, label_of(b.key)) end
end
`;

const GRANT = `
-- offer.ts
local HORIZON_MS, HORIZON_MS_MAX, RATE_HORIZON_MS_MIN = 2000, 60000, 400

local function half_by_demand(l, b, free)
  if l.demand == 0 then return 0 end
  return floor(free * min(b.demand, l.demand) / (2 * l.demand))
end

local function horizon_of(l, free)
  if free < 4 * l.askers * l.mean then return 0 end
  if l.demand == 0 then return HORIZON_MS end
  local left = max(0, free)
  local long = floor(left * 10 / l.demand)
  if long > HORIZON_MS then return min(HORIZON_MS_MAX, long) end
  return min(HORIZON_MS, floor(left * 500 / l.demand))
end

local function share(l, b, lacking, need, free, horizon)
  if horizon == 0 then
    if need == 0 then return 0 end
    return lacking > free and need or lacking
  end
  if horizon >= HORIZON_MS then return min(lacking, max(need, free)) end
  return min(lacking, max(need, min(free, half_by_demand(l, b, free))))
end

-- rate.ts: the first millisecond at which the level is there.
local function wait_for(l, need)
  if l.level >= need then return 0 end
  local before = min(l.remainder, l.every - 1)
  local function level_in(ms) return (accrued(l.level, ms, l.units, before, l.every)) end
  local ms = max(0, ceil(((need - l.level) * l.every - before) / l.units))
  while level_in(ms) < need do ms = ms + 1 end
  while ms > 0 and level_in(ms - 1) >= need do ms = ms - 1 end
  return ms
end

local function offer_of_rate(l, b, o, lacking)
  local need, free, soon = o.need, l.level, bookable(l)
  local horizon = HORIZON_MS
  if l.demand > 0 then
    horizon = max(RATE_HORIZON_MS_MIN, min(HORIZON_MS, floor((max(0, l.level) * BOOKING_MS + soon * 1000) / l.demand)))
  end
  o.horizon = horizon
  local room = rate_cap(l, now) - l.out
  if lacking == 0 or room <= 0 then return end
  if free >= max(need, 1) then
    local fair = lacking
    if horizon < HORIZON_MS then fair = min(lacking, max(need, half_by_demand(l, b, free))) end
    local grant = min(fair, free, room)
    if grant >= need then o.grant = grant end
    return
  end
  local fair = 1
  if l.demand > 0 then fair = floor(soon * min(b.demand, l.demand) / l.demand) end
  local grant = min(lacking, max(need, fair), free + soon, room)
  if grant < max(need, 1) then return end
  o.grant, o.from, o.to = grant, wait_for(l, 0), wait_for(l, grant)
end

local function offer(l, r, b)
  local countable = max(0, MAX - r.granted - r.beyond)
  local lacking = min(max(0, b.want - out_of(r)), countable)
  local o = { need = min(b.need, lacking), grant = 0, horizon = -1, from = 0, to = 0 }
  if b.close > 0 or learning_ms(l) > 0 then return o end
  if l.kind == 'rate' then
    offer_of_rate(l, b, o, lacking)
    return o
  end
  local free = available(l, now)
  o.horizon = horizon_of(l, free)
  if l.rollover > 0 and now >= l.stop then return o end
  local grant = share(l, b, lacking, o.need, free, o.horizon)
  if grant <= free and grant >= o.need then o.grant = grant end
  return o
end

-- waiting.ts
local WAITERS_MAX, CRUMB, RECALL_MS, RECALL_AGAIN_MS = 256, 8000, 25, 200
local hints = {}
local function name_of(b) return string.match(b.key, ':L:(.*)$') end

local function drop_waiters(l, own)
  if #l.waiting == 0 then return end
  local rest = {}
  for _, w in ipairs(l.waiting) do
    if w.till > now and w.holder ~= own then rest[#rest + 1] = w end
  end
  l.waiting = rest
end

local function wake(l, b)
  local left, rest = available(l, now), {}
  if left < l.capacity / CRUMB then return end
  for _, w in ipairs(l.waiting) do
    if w.need > left or w.holder == b.holder then rest[#rest + 1] = w
    else
      hints[#hints + 1] = 'W ' .. name_of(b) .. ' ' .. w.holder .. ' ' .. text(w.need)
      left = left - w.need
    end
  end
  l.waiting = rest
end

local function recall(l, b, units)
  local passed = now - l.recalled_at
  local level = passed < RECALL_AGAIN_MS and 2 or 1
  if l.out == 0 or (passed < RECALL_MS and level <= l.recall_level) then return end
  l.recalled_at, l.recall_level = now, level
  hints[#hints + 1] = 'R ' .. name_of(b) .. ' ' .. level .. ' ' .. text(units)
end

-- shard.ts: grantAll, conclude
local is_refused = false
for _, b in ipairs(blocks) do
  if b.status == 'ok' then
    local family = family_of(b)
    if family then from_family(family, b.ledger, label_of(b.key), now) end
    b.offer = offer(b.ledger, b.record, b)
    b.is_short = b.offer.grant < b.offer.need
  else
    b.offer = { need = 0, grant = 0, horizon = -1, from = 0, to = 0 }
    is_refused = atomic
  end
  if b.is_short and atomic then is_refused = true end
end
for _, b in ipairs(blocks) do
  local l, r, o = b.ledger, b.record, b.offer
  if is_refused or b.is_short then o.grant, o.from, o.to = 0, 0, 0 end
  if b.status == 'ok' then
    drop_waiters(l, b.need > 0 and b.holder or '')
    r.granted, l.out = r.granted + o.grant, l.out + o.grant
    if l.kind == 'rate' then l.level = l.level - o.grant end
    if b.is_short and learning_ms(l) == 0 then
      if wait > 0 and #l.waiting < WAITERS_MAX then
        l.waiting[#l.waiting + 1] = { holder = b.holder, need = o.need, till = at_most(now + wait) }
      end
      recall(l, b, o.need)
    end
    if b.back > 0 then wake(l, b) end
    if b.close ~= 2 then r.expires_at = expiry_of(b) end
    if b.close == 2 then lapse(l, r, NEVER)
    elseif b.close == 1 and out_of(r) == 0 then
      leave(l, r)
      r.state, r.expires_at = 'closed', now + FOLD_MS
    elseif b.close == 1 then hear_demand(l, r, 0, 0) end
    l.version = l.version + 1
    l.life_end = max(l.life_end, at_most(now + max(b.life_ms, b.open_ms + ttl + grace)))
    local family = family_of(b)
    if family then to_family(family, l, label_of(b.key)) end
  end
end
`;

const WRITE = `
call('HSET', KEYS[1], 'history', meta.history, 'fence', text(meta.fence), 'learning_until', text(meta.learning_until),
  'latest', text(meta.latest), 'may_end_early', text(meta.may_end_early))
local reply = { 'ok', text(clock), text(meta.fence) }
for i, b in ipairs(blocks) do
  local l, r, o = b.ledger, b.record, b.offer
  local waiters = {}
  for j, w in ipairs(l.waiting) do waiters[j] = w.holder .. ':' .. text(w.need) .. ':' .. text(w.till) end
  l.waiters = #waiters > 0 and table.concat(waiters, ',') or '-'
  if l.is_new then call('DEL', b.key, b.index) end
  local fields = { 'ledger', write(l, LEDGER), 'h:' .. b.holder, write(r, RECORD) }
  for id, lapsed in pairs(b.lapsed) do
    fields[#fields + 1] = 'h:' .. id
    fields[#fields + 1] = write(lapsed, RECORD)
  end
  call('HSET', b.key, unpack(fields))
  for id, lapsed in pairs(b.lapsed) do
    if lapsed.expires_at == NEVER then call('ZREM', b.index, id)
    else call('ZADD', b.index, text(lapsed.expires_at), id) end
  end
  for _, id in ipairs(b.folded) do
    call('HDEL', b.key, 'h:' .. id)
    call('ZREM', b.index, id)
  end
  if r.expires_at == NEVER then call('ZREM', b.index, b.holder)
  else call('ZADD', b.index, text(r.expires_at), b.holder) end
  call('PEXPIREAT', b.key, text(l.life_end))
  call('PEXPIREAT', b.index, text(l.life_end))
  reply[3 + i] = table.concat({ b.status, text(l.fence), text(l.version), text(r.granted), text(o.grant),
    text(learning_ms(l)), text(o.horizon), text(o.from), text(o.to), text(l.live), figures_of(l, now) }, '|')
end
for key, family in pairs(families) do save_family(key, family) end
-- Losing hints costs time alone: one that cannot be published is no error.
if ARGV[11] ~= '' then
  for _, hint in ipairs(hints) do redis.pcall(ARGV[12], ARGV[11], hint) end
end
return reply
`;

export const SYNC = PRELUDE + CHECK + SETTLE + GRANT + WRITE;
