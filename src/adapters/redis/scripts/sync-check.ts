/** The first part of SYNC: reads the message and what it is about, and refuses it if it has to be. */
export const CHECK = `
local BLOCK = { 'holder', 'kind', 'seq', 'granted', 'spent', 'returned', 'beyond', 'overage', 'refunded', 'want',
  'need', 'demand', 'mean', 'w_fence', 'w_version', 'w_used', 'w_carried', 'close', 'open_ms', 'first_ms', 'life_ms',
  'spec_version', 'capacity', 'overdraft', 'units', 'every', 'rollover', 'carry_debt', 'start', 'stop' }
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
  local b = parse(line, BLOCK)
  for i = 3, #BLOCK do
    local x = b[BLOCK[i]]
    if x and BLOCK[i] == 'w_carried' then x = math.abs(x) end
    if not x or x < 0 or x > MAX or x % 1 ~= 0 then return nil end
  end
  if not KINDS[b.kind] or not is_hex(b.holder, 13, 32) then return nil end
  if b.seq < 1 or b.stop <= b.start or b.w_fence >= MAX or b.every < 1 or b.every > DURATION_MAX then return nil end
  if b.granted + b.beyond > MAX or b.granted + b.beyond < b.spent + b.returned then return nil end
  if b.overage > b.beyond or b.refunded > b.spent then return nil end
  if b.close > 2 or (b.close == 2 and b.kind ~= 'budget') then return nil end
  if b.kind == 'slots' then if b.spent > 0 then return nil end
  elseif b.kind ~= 'rate' and b.refunded > 0 then return nil end
  return b
end

local blocks, seen, names, known_fence = {}, {}, {}, 0
for i = 1, count do
  local b = read_block(ARGV[HEAD + i])
  if not b then return refuse('bad') end
  b.key, b.index, b.family_key = KEYS[3 * i - 1], KEYS[3 * i], KEYS[3 * i + 1]
  if seen[b.key] then return refuse('bad') end
  seen[b.key], names[name_of(b.key)] = true, true
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
      read_waiting(l)
      l.slacks = {}
      for version, slack in string.gmatch(l.lows, '(%d+):(%d+)') do
        l.slacks[#l.slacks + 1] = { version = tonumber(version), slack = tonumber(slack) }
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
  local was_there = b.knows and (b.kind == 'budget' or b.w_fence ~= meta.fence)
  local l = { waiting = {}, slacks = {}, is_new = true }
  for _, name in ipairs(LEDGER) do l[name] = 0 end
  for _, name in ipairs({ 'kind', 'spec_version', 'capacity', 'overdraft', 'units', 'every', 'rollover',
    'carry_debt', 'start', 'stop' }) do l[name] = b[name] end
  l.schema, l.fence, l.since, l.version, l.lost_carried = SCHEMA, meta.fence, now, now, MAX
  l.learning_until = was_there and max(meta.learning_until, now + learn) or meta.learning_until
  l.may_end_early = was_there and 0 or meta.may_end_early
  if l.kind == 'rate' then
    local is_lost = was_there or (now < meta.learning_until and l.may_end_early == 0)
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
  local is_held_back = before.state ~= 'live' and l.kind == 'budget' and out_of(before) or 0
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
      is_heir = (known.state ~= 'retired' or b.close == 2) and epoch > known.epoch
        and string.find(',' .. ancestors, ',' .. known.nonce .. ',', 1, true) ~= nil
    end
    if not is_heir then return refuse('stale') end
  else
    local learning_until = l.fence == meta.fence and l.learning_until or meta.learning_until
    if b.knows and minted_at(b.holder) <= l.folded_mint and now >= learning_until then return refuse('stale') end
  end
  if not fits(l, known, b) then return refuse('bad') end
end
`;
