/**
 * BIRTH: opens a shard that is not there. What is there is not touched.
 *
 *   KEYS   meta
 *   ARGV   for how long it only listens (ms) · clock (ms; "": TIME) · id of the history ("": INFO)
 *   REPLY  1 if it was opened now, else 0
 */
import { PRELUDE } from "./prelude.ts";

const BODY = `
if call('EXISTS', KEYS[1]) == 1 then return 0 end
local clock, history_id = clock_of(ARGV[2]), history_of(ARGV[3])
call('HSET', KEYS[1], 'history', history_id, 'fence', text(clock), 'learning_until', text(clock + tonumber(ARGV[1])),
  'latest', text(clock), 'may_end_early', '0')
return 1
`;

export const BIRTH = PRELUDE + BODY;
