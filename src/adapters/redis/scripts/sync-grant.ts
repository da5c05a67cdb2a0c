/** The third part of SYNC: what each block is given, and who is told of it. */
export const GRANT = `
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
  local wanted = max(0, b.want - out_of(r))
  local lacking = min(wanted, max(0, MAX - r.granted - r.beyond))
  local o = { need = min(b.need, wanted), grant = 0, horizon = -1, from = 0, to = 0 }
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
local WAITERS_MAX, RECALL_MS, RECALL_AGAIN_MS = 256, 25, 200
local function recall(l, b, units)
  local passed = now - l.recalled_at
  local level = passed < RECALL_AGAIN_MS and 2 or 1
  if l.out == 0 or (passed < RECALL_MS and level <= l.recall_level) then return end
  l.recalled_at, l.recall_level = now, level
  hints[#hints + 1] = 'R ' .. name_of(b.key) .. ' ' .. level .. ' ' .. text(units)
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
  local is_more = available(l, now) > b.before
  if b.status ~= 'ok' then
    if is_more then wake(l, b.key, b.holder, now) end
  else
    drop_waiters(l, b.need > 0 and b.holder or '', now)
    r.granted, l.out = r.granted + o.grant, l.out + o.grant
    if l.kind == 'rate' then l.level = l.level - o.grant end
    if b.is_short and learning_ms(l) == 0 then
      if wait > 0 and #l.waiting < WAITERS_MAX then
        l.waiting[#l.waiting + 1] = { holder = b.holder, need = o.need, till = at_most(now + wait) }
      end
      recall(l, b, o.need)
    end
    if is_more then wake(l, b.key, b.holder, now) end
    if b.close ~= 2 then r.expires_at = expiry_of(b) end
    if b.need == 0 or o.grant > 0 then r.frees_at = at_most(now + b.first_ms) end
    if b.close == 2 then
      lapse(l, r, NEVER)
      r.state = 'retired'
    elseif b.close == 1 and out_of(r) == 0 then
      leave(l, r)
      r.state, r.expires_at = 'closed', now + FOLD_MS
    elseif b.close == 1 then hear_demand(l, r, 0, 0) end
    l.version = l.version + 1
    local family = family_of(b)
    if family then to_family(family, l, label_of(b.key), now) end
  end
end
`;
