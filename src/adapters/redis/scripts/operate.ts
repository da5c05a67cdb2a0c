/**
 * OPERATE: what an operator does to a ledger by hand; core/lease/operate.ts. It looks at every holder.
 *
 *   KEYS   ledger, index of when its holders lapse, family
 *   ARGV   resolve or reset · id of one holder ("": all) · channel of hints ("": none) · the command that publishes ·
 *          clock (ms; "": TIME)
 *   REPLY  units that were in quarantine and are not any more; -1: there is no such ledger
 */
import { PRELUDE } from "./prelude.ts";
import { WAITING } from "./waiting.ts";

const BODY = `
local op, wanted, clock = ARGV[1], ARGV[2], clock_of(ARGV[5])
local key, index, family_key = KEYS[1], KEYS[2], KEYS[3]
local line = call('HGET', key, 'ledger')
if not line then return '-1' end
local l = parse(line, LEDGER)
if l.schema > SCHEMA or l.life_end <= clock then return '-1' end

read_waiting(l)
local was = available(l, clock)
local family, label = load_family(family_key, clock), label_of(key)
local own = as_in_family(family, l, label)

local before, folded, spent = held_back(l), {}, 0
local fields = call('HGETALL', key)
for i = 1, #fields, 2 do
  local id = string.match(fields[i], '^h:(.*)$')
  local r = id and parse(fields[i + 1], RECORD)
  local is_held = r and r.state ~= 'live' and l.kind == 'budget' and out_of(r) > 0
  if is_held and (wanted == '' or wanted == id) then
    l.quarantined = l.quarantined - out_of(r)
    fold(l, id, r)
    folded[#folded + 1] = id
  elseif r then spent = at_most(spent + r.spent) end
end
if wanted == '' then l.lost_used = 0 end
local resolved = before - held_back(l)

if op == 'reset' then
  l.folded, l.settled, l.owed, l.carried = 0 - spent, 0, 0, max(0, l.carried)
  l.lost_carried = MAX
  if l.kind == 'rate' then l.level, l.remainder = max(0, l.capacity - l.out), 0 end
  local members = {}
  for _, member in ipairs(family.members) do
    if member.start >= l.start then members[#members + 1] = member end
  end
  family.members, family.since = members, max(family.since, l.start)
end

balance(l, NEVER)
l.version = l.version + 1
if available(l, clock) > was then wake(l, key, '', clock) end
wake_later(to_family(family, l, label, clock), family_key, {}, clock)
write_waiting(l)

for _, id in ipairs(folded) do
  call('HDEL', key, 'h:' .. id)
  call('ZREM', index, id)
end
call('HSET', key, 'ledger', write(l, LEDGER))
call('PEXPIREAT', key, text(l.life_end))
if own then save_family(family_key, family) end
publish(ARGV[3], ARGV[4])
return text(resolved)
`;

export const OPERATE = PRELUDE + WAITING + BODY;
