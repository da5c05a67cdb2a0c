/**
 * The moment of a turn.
 *
 *   MO1  Periods never go back, whatever the wall clock does.
 *   MO2  The periods of a fleet are decided by its store's clock, from the first time that it is heard.
 */
import { MINUTE } from "../core/time.ts";
import type { Clock } from "../ports/clock.ts";
import type { Log } from "../ports/log.ts";
import type { Now } from "./now.ts";

/** `storeTime`: undefined as long as there is no other clock than this machine's. */
export function createMoments(
  clock: Clock,
  log: Log,
  storeTime: (mono: number) => number | undefined,
): () => Now {
  let latest = 0;
  let isStores = false;
  let isBehind = false;
  return () => {
    const wall = clock.wall();
    const mono = Math.floor(clock.mono());
    const stores = storeTime(mono);
    const deciding = stores ?? wall;
    if (stores !== undefined && !isStores) {
      isStores = true;
      latest = stores; // (MO2)
    }
    if (deciding < latest - MINUTE && !isBehind) {
      const behindMs = latest - deciding;
      log.warn({ behindMs }, "the wall clock went back; budgets keep their period");
    }
    isBehind = deciding < latest - MINUTE;
    latest = Math.max(latest, deciding); // (MO1)
    return { wall, latest, mono };
  };
}
