/**
 * What the scripts have in common: how a ledger is written down, and the arithmetic of core/lease in Lua. The names
 * are those of core/lease; a script does what the function of the same name does there.
 *
 * Numbers are doubles in Lua as in JavaScript, and each sum is made in the same order, so that both get the same
 * result to the last digit. They leave as digits: tostring() would write 1e+15.
 */
export const PRELUDE = `
local MAX, NEVER = 9007199254740991, 9007199254740991
local SCHEMA, BOOKING_MS = 1, 500
local max, min, floor, ceil = math.max, math.min, math.floor, math.ceil
local call = redis.call

-- Adding 0 makes a 0 of -0.
local function text(x) return string.format('%.0f', x + 0) end
local function at_most(x) return min(x, MAX) end
local function grow(old, total) return max(0, total - old) end

-- How things are written down: figures in this order, separated by |.
local LEDGER = { 'schema', 'kind', 'spec_version', 'capacity', 'overdraft', 'units', 'every', 'rollover',
  'carry_debt', 'start', 'stop', 'out', 'settled', 'folded', 'quarantined', 'owed', 'carried', 'level',
  'remainder', 'at', 'cautious_until', 'version', 'fence', 'since', 'learning_until', 'may_end_early',
  'lost_fence', 'lost_version', 'lost_used', 'lost_carried', 'explained', 'demand', 'askers', 'mean', 'live', 'missing',
  'recalled_at', 'recall_level', 'folded_mint', 'life_end', 'waiters', 'lows' }
local RECORD = { 'epoch', 'nonce', 'seq', 'granted', 'spent', 'returned', 'beyond', 'overage', 'refunded',
  'expires_at', 'state', 'demand', 'fence', 'version', 'room', 'frees_at', 'label' }
local MEMBER = { 'label', 'start', 'stop', 'capacity', 'overdraft', 'rollover', 'carry_debt', 'settled',
  'owed', 'carried', 'lost_carried', 'life_end', 'awaited_until' }
local IS_TEXT = { kind = true, waiters = true, lows = true, nonce = true, state = true, label = true, holder = true }
local FORM = {
  [LEDGER] = '%.0f|%s|' .. string.rep('%.0f|', 38) .. '%s|%s',
  [RECORD] = '%.0f|%s|' .. string.rep('%.0f|', 8) .. '%s|' .. string.rep('%.0f|', 5) .. '%s',
  [MEMBER] = '%s|' .. string.rep('%.0f|', 11) .. '%.0f',
}

-- Many words in one step: a script spends most of its time on reading and writing them.
local STEP = 20
local function parse(line, names)
  local thing, done, from, count = {}, 0, 1, #names
  while done < count do
    local words = { string.find(line, string.rep('([^|]*)|?', min(STEP, count - done)), from) }
    from = words[2] + 1
    for i = 3, #words do
      done = done + 1
      local name = names[done]
      if IS_TEXT[name] then thing[name] = words[i] else thing[name] = tonumber(words[i]) end
    end
  end
  return thing
end

local function write(thing, names)
  local words = {}
  for i, name in ipairs(names) do
    if IS_TEXT[name] then words[i] = thing[name] else words[i] = thing[name] + 0 end
  end
  return string.format(FORM[names], unpack(words))
end

-- ledger.ts
local function out_of(r) return r.granted - r.returned + (r.beyond - r.spent) end

local function held_back(l)
  return at_most(l.quarantined + max(0, l.lost_used - max(0, l.explained)))
end

local function carried_at(l, now)
  if now < l.start then return min(l.carried, 0) end
  return l.carried
end

local function left_of(a, carried, out, quarantined)
  return max(at_most(a.capacity + a.overdraft + carried) - a.settled - out - quarantined, -MAX)
end

local function available(l, now)
  if l.kind == 'rate' then return l.level end
  if l.kind == 'slots' then return l.capacity - l.out end
  return left_of(l, carried_at(l, now), l.out, held_back(l))
end

local function pay_off(owed, left) return min(owed, max(0, 0 - left)) end

local function settle_rate(l, back, beyond, room)
  if back > 0 then l.level = max(l.level, min(l.level + back, room)) end
  if l.level >= room then l.remainder = 0 end
  l.level = max(l.level - beyond, -MAX)
end

-- rate.ts: level + (elapsed * units + before) / every, and what is left of the division.
local function accrued(level, elapsed, units, before, every)
  local product = elapsed * units + before
  if product <= MAX then
    local rest = product % every
    return level + (product - rest) / every, rest
  end
  -- Long multiplication and division, in digits of 2^14: with a divisor of at most 2^39 each step is exact.
  local base, digits = 16384, { 0, 0, 0, 0, 0, 0, 0, 0, 0 }
  local x = elapsed
  for i = 0, 3 do
    local a = x % base
    x = (x - a) / base
    local y = units
    for j = 1, 4 do
      local b = y % base
      y = (y - b) / base
      digits[i + j] = digits[i + j] + a * b
    end
  end
  local carry = before
  for i = 1, 9 do
    local sum = digits[i] + carry
    digits[i] = sum % base
    carry = (sum - digits[i]) / base
  end
  local rest = 0
  for i = 9, 1, -1 do
    local part = rest * base + digits[i]
    rest = part % every
    level = level + (part - rest) / every * base ^ (i - 1)
  end
  return level, rest
end

-- shared-ledger.ts
local function bookable(l) return floor(l.units * BOOKING_MS / l.every) end

local function rate_cap(l, now)
  if now < l.cautious_until then return min(l.capacity, bookable(l)) end
  return l.capacity
end

local function refill_to(l, clock, now)
  if l.kind ~= 'rate' then return 0 end
  l.at = min(l.at, clock)
  local elapsed, room, level = clock - l.at, max(0, rate_cap(l, now) - l.out), l.level
  if elapsed <= 0 then return 0 end
  l.at = clock
  if l.level >= room then l.remainder = 0 return 0 end
  l.level, l.remainder = accrued(l.level, elapsed, l.units, min(l.remainder, l.every - 1), l.every)
  if l.level >= room then l.remainder = 0 end
  l.level = min(l.level, room)
  return l.level - level
end

local function balance(l, now)
  if l.kind ~= 'rate' then l.owed = pay_off(l.owed, available(l, now))
  elseif l.level > 0 then l.level = min(l.level, max(0, rate_cap(l, now) - l.out)) end
end

-- family.ts: one hash, in its field m since when it is, the end of its life, and the members, separated by ;
local MEMBERS_MAX, IDLE_PERIODS = 12, 64

local function load_family(key, clock)
  local line = call('HGET', key, 'm')
  local since, life_end, rest = string.match(line or '', '^(%d+);(%d+)(.*)$')
  if not since or tonumber(life_end) <= clock then return { members = {}, since = 0, life_end = 0 } end
  local family = { members = {}, since = tonumber(since), life_end = tonumber(life_end) }
  for part in string.gmatch(rest, '[^;]+') do
    family.members[#family.members + 1] = parse(part, MEMBER)
  end
  return family
end

local function save_family(key, family)
  local parts = { text(family.since), text(family.life_end) }
  for i, member in ipairs(family.members) do parts[i + 2] = write(member, MEMBER) end
  call('HSET', key, 'm', table.concat(parts, ';'))
  call('PEXPIREAT', key, text(family.life_end))
end

local function keep(spec, left)
  return max(min(left, spec.rollover), spec.carry_debt == 1 and -math.huge or 0)
end

local function owing(member) return member.owed + max(0, 0 - member.carried) end

local function carried_into(spec, before)
  local left = before.capacity + before.carried - before.settled
  local debt = at_most(min(owing(before), max(0, 0 - left - before.overdraft)))
  local kept = keep(spec, left < 0 and 0 - debt or left)
  local idle = floor((spec.start - before.stop) / (spec.stop - spec.start) + 0.5)
  if idle > 0 then return keep(spec, idle * spec.capacity + kept) end
  return kept
end

local function carry(before, into)
  if before then into.carried = keep(into, min(carried_into(into, before), into.lost_carried))
  elseif into.lost_carried < MAX then into.carried = keep(into, into.lost_carried) end
  into.owed = pay_off(into.owed, left_of(into, into.carried, 0, 0))
end

local function member_like(family, label)
  for i, member in ipairs(family.members) do if member.label == label then return member, i end end
end

-- family.ts: asInFamily
local function as_in_family(family, l, label)
  local own = member_like(family, label)
  if own then l.carried, l.owed = own.carried, own.owed end
  return own
end

local function fill_member(member, l)
  for _, name in ipairs({ 'start', 'stop', 'capacity', 'overdraft', 'rollover', 'carry_debt', 'owed', 'carried',
    'lost_carried', 'life_end' }) do member[name] = l[name] end
  member.settled = at_most(l.settled + l.out + held_back(l))
  member.awaited_until = 0
  for _, w in ipairs(l.waiting) do member.awaited_until = max(member.awaited_until, w.till) end
end

local function from_family(family, l, label, now)
  local members = family.members
  local own, place = member_like(family, label)
  if not own and l.start < family.since then return end
  if not own then
    while #members > 1 and members[1].life_end < now do table.remove(members, 1) end
    own, place = { label = label }, 1
    fill_member(own, l)
    for i, member in ipairs(members) do if member.start < l.start then place = i + 1 end end
    table.insert(members, place, own)
    if #members > MEMBERS_MAX then table.remove(members, 1); place = place - 1 end
  end
  for _, name in ipairs({ 'start', 'stop', 'capacity', 'overdraft', 'rollover', 'carry_debt' }) do own[name] = l[name] end
  own.lost_carried = l.lost_carried
  carry(members[place - 1], own)
  l.carried, l.owed = own.carried, own.owed
end

local function to_family(family, l, label, now)
  local own, place = member_like(family, label)
  local richer = {}
  if not own then return richer end
  fill_member(own, l)
  local before = own
  for i = place + 1, #family.members do
    local member = family.members[i]
    local carried = carried_at(member, now)
    carry(before, member)
    if carried_at(member, now) > carried then richer[#richer + 1] = member end
    before = member
  end
  local periods = IDLE_PERIODS + ceil(owing(before) / max(1, before.capacity))
  family.life_end = max(before.life_end, at_most(before.stop + (before.stop - before.start) * periods))
  return richer
end

-- The last part of a ledger's key: its period.
local function label_of(key) return '=' .. string.match(key, '[^/]*$') end

-- holder-record.ts
local function minted_at(id) return tonumber(string.sub(id, 1, 12), 16) end

local function fold(l, id, record)
  l.folded_mint = max(l.folded_mint, minted_at(id))
  l.folded = at_most(l.folded + record.spent)
end

-- What readers make the figures of.
local FIGURES = '%s|' .. string.rep('%.0f|', 16) .. '%.0f'
local function figures_of(l, now)
  return string.format(FIGURES, l.kind, l.spec_version, l.capacity, l.overdraft, l.units, l.every, l.rollover,
    l.carry_debt, l.start, l.stop, l.out, l.settled, held_back(l), l.owed, carried_at(l, now) + 0, l.level + 0,
    l.remainder, l.at)
end

-- inspect.ts: predecessorOf
local function member_figures(m)
  return string.format(FIGURES, 'budget', 0, m.capacity, m.overdraft, 0, 1, m.rollover, m.carry_debt, m.start, m.stop,
    0, m.settled, 0, m.owed, m.carried + 0, 0, 0, 0)
end

local function clock_of(hook)
  if hook ~= '' then return tonumber(hook) end
  local time = call('TIME')
  return time[1] * 1000 + floor(time[2] / 1000)
end

local function history_of(hook)
  if hook ~= '' then return hook end
  return string.match(call('INFO', 'replication'), 'master_replid:(%w+)') or '?'
end
`;
