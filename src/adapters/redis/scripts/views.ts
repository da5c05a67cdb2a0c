/**
 * VIEWS: ledgers as they are now; `read` in core/lease/inspect.ts. Writes nothing.
 *
 *   KEYS   for each ledger: itself, its family
 *   ARGV   clock (ms; "": TIME)
 *   REPLY  for each ledger a line of figures; "" where there is none, or < and the figures of its family's latest
 */
import { PRELUDE } from "./prelude.ts";

const BODY = `
local clock, reply = clock_of(ARGV[1]), {}
for i = 1, #KEYS / 2 do
  local line = call('HGET', KEYS[2 * i - 1], 'ledger')
  local l = line and parse(line, LEDGER)
  local family = load_family(KEYS[2 * i], clock)
  reply[i] = ''
  if not l or l.life_end <= clock then
    local member = family.members[#family.members]
    if member then reply[i] = '<' .. member_figures(member) end
  elseif l.schema <= SCHEMA then
    as_in_family(family, l, label_of(KEYS[2 * i - 1]))
    refill_to(l, max(clock, l.at), clock)
    reply[i] = figures_of(l, clock)
  end
end
return reply
`;

export const VIEWS = PRELUDE + BODY;
