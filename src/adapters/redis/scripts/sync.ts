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
import { CHECK } from "./sync-check.ts";
import { GRANT } from "./sync-grant.ts";
import { SETTLE } from "./sync-settle.ts";
import { WAITING } from "./waiting.ts";

const WRITE = `
-- holder-record.ts
local LOOKED_AT, LATE_MS = 8, 1000
local function frees_ms(b)
  local l = b.ledger
  if l.kind ~= 'slots' or available(l, now) > 0 then return -1 end
  local first = math.huge
  for _, id in ipairs(call('ZRANGEBYSCORE', b.index, '-inf', '+inf', 'LIMIT', 0, LOOKED_AT)) do
    local line = id ~= b.holder and call('HGET', b.key, 'h:' .. id)
    local r = line and parse(line, RECORD)
    if r and r.state == 'live' and out_of(r) > 0 then
      first = min(first, r.frees_at + LATE_MS > now and r.frees_at or r.expires_at)
    end
  end
  return first == math.huge and -1 or max(0, first - now)
end

call('HSET', KEYS[1], 'history', meta.history, 'fence', text(meta.fence), 'learning_until', text(meta.learning_until),
  'latest', text(meta.latest), 'may_end_early', text(meta.may_end_early))
local reply = { 'ok', text(clock), text(meta.fence) }
for i, b in ipairs(blocks) do
  local l, r, o = b.ledger, b.record, b.offer
  write_waiting(l)
  local lows = {}
  for j, low in ipairs(l.slacks) do lows[j] = text(low.version) .. ':' .. text(low.slack) end
  l.lows = #lows > 0 and table.concat(lows, ',') or '-'
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
    text(learning_ms(l)), text(o.horizon), text(o.from), text(o.to), text(l.live),
    text(l.life_end - now), text(frees_ms(b)), figures_of(l, now) }, '|')
end
for key, family in pairs(families) do save_family(key, family) end
publish(ARGV[11], ARGV[12])
return reply
`;

export const SYNC = PRELUDE + WAITING + CHECK + SETTLE + GRANT + WRITE;
