/** The second part of SYNC: settles each block. Past its beginning nothing is refused. */
export const SETTLE = `
-- Past this line nothing is refused.
local function learning_ms(l)
  if l.kind == 'rate' or (l.may_end_early == 1 and l.missing == 0) then return 0 end
  return max(0, l.learning_until - now)
end

local function cross(l)
  local open = max(0, l.lost_used - max(0, l.explained))
  l.lost_fence, l.lost_version = l.fence, l.version
  l.explained = at_most(l.settled + l.out + l.quarantined)
  l.lost_used = open > 0 and at_most(l.explained + open) or 0
  l.fence, l.since, l.learning_until, l.may_end_early = meta.fence, clock, meta.learning_until, meta.may_end_early
  l.missing, l.waiting = l.live, {}
  if l.kind == 'rate' then
    l.level, l.remainder, l.at, l.cautious_until = min(l.level, 0 - bookable(l)), 0, clock, clock + learn
  end
end

-- ledger.ts: respec
local function respec(l, b)
  if l.kind == 'rate' then
    local moved = l.level + b.capacity - l.capacity
    l.level = max(min(moved, max(0, b.capacity - l.out)), min(l.level, 0))
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
    l.lost_version, l.lost_used, l.lost_carried = b.w_version, b.w_used, b.w_carried
  elseif b.w_fence == l.lost_fence and b.w_version == l.lost_version and l.lost_carried < MAX then
    l.lost_carried = min(l.lost_carried, b.w_carried)
  end
end

-- late-refund.ts
local function note_slack(l)
  if l.kind ~= 'rate' then return end
  local lows, slack = l.slacks, min(max(0, l.capacity - l.out - l.level), MAX)
  while #lows > 0 and slack <= lows[#lows].slack do lows[#lows] = nil end
  local last = lows[#lows]
  if last and slack < 2 * last.slack then last.version = l.version + 1
  else lows[#lows + 1] = { version = l.version + 1, slack = slack } end
end

local function fitting(l, r, refunded, spent)
  local least
  for _, low in ipairs(l.slacks) do
    if not least and low.version > r.version then least = low.slack end
  end
  local units = min(refunded, least or 0, r.room)
  for _, low in ipairs(l.slacks) do low.slack = max(0, low.slack - units) end
  r.room = at_most((least or 0) + spent - units)
  r.version = l.version + 1
  return units
end

local function absorb(b)
  local l, r = b.ledger, b.record
  local was_expired = r.state == 'expired'
  local is_history = not b.known and b.knows
  local is_first = is_history or r.fence ~= l.fence
  if r.state == 'live' then l.out = l.out - out_of(r)
  elseif l.kind == 'budget' then l.quarantined = l.quarantined - out_of(r) end
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
    local covered = (not b.known or was_expired) and 0 or max(0, spent - beyond)
    local back = (was_expired and 0 or returned) + fitting(l, r, is_history and 0 or refunded, covered)
    if not is_history then settle_rate(l, back, beyond, rate_cap(l, now) - l.out) end
  else l.owed = at_most(l.owed + overage) end
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
  b.lapsed, b.folded, b.before = {}, {}, available(l, now)
  if l.fence ~= meta.fence then cross(l)
  elseif b.knows and b.w_fence < l.fence and now < l.learning_until then
    l.learning_until = max(l.learning_until, l.since + learn)
  end
  if b.spec_version > l.spec_version then respec(l, b) end
  local r = b.known
  if not r then
    r = { epoch = epoch, nonce = nonce, label = label, state = 'live', fence = l.fence, seq = 0, granted = 0,
      spent = 0, returned = 0, beyond = 0, overage = 0, refunded = 0, expires_at = 0, demand = 0,
      version = l.version, room = MAX, frees_at = 0 }
    l.live = l.live + 1
  elseif r.nonce ~= nonce then r.nonce, r.epoch, r.label, r.seq = nonce, epoch, label, 0 end
  b.record = r
  if b.seq > r.seq then b.status = 'ok'
  elseif b.seq == r.seq and not is_forfeited(l, r) then b.status = 'duplicate'
  else b.status = 'stale' end
  local family = family_of(b)
  if b.status ~= 'ok' then
    if family then as_in_family(family, l, label_of(b.key)) end
    if b.status == 'duplicate' and r.state == 'live' then r.expires_at = expiry_of(b) end
  else
    l.life_end = max(l.life_end, at_most(now + max(b.life_ms, b.open_ms + ttl + grace)))
    hear_witness(l, b)
    if family then from_family(family, l, label_of(b.key), now) end
    r.seq = b.seq
    b.before = b.before + refill_to(l, clock, now)
    note_slack(l)
    absorb(b)
    reclaim(b)
    balance(l, now)
    hear_demand(l, r, b.demand, b.mean)
    if family then wake_later(to_family(family, l, label_of(b.key), now), b.family_key, names, now) end
  end
end
`;
