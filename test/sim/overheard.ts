/**
 * What the engine says while it works, which no answer tells: how much of a charge nobody covered. Charges are told
 * in the order in which they are made, and the overage of each right after it; an answer that says what was charged
 * finds its own there.
 */
import type { Amount } from "../../src/core/operation.ts";
import type { Telemetry } from "../../src/ports/telemetry.ts";

interface Told {
  readonly at: number;
  readonly what: "charged" | "overage";
  readonly meter: string;
  readonly units: number;
}

export interface Overheard {
  readonly telemetry: Telemetry;
  /** The overage, by meter, of what was charged in one go. Found once. */
  take(charged: readonly Amount[]): ReadonlyMap<string, number>;
}

const KEPT = 400;
const ignore = (): void => undefined;

export function createOverheard(now: () => number): Overheard {
  const told: Told[] = [];
  const tell = (what: Told["what"], meter: string, units: number): void => {
    if (units === 0 || meter === "requests") return;
    told.push({ at: now(), what, meter, units });
    if (told.length > KEPT) told.shift();
  };

  const isAt = (start: number, charged: readonly Amount[]): boolean =>
    charged.every(({ meter, units }, i) => {
      const one = told[start + i];
      return one?.what === "charged" && one.meter === meter && one.units === units;
    });

  return {
    telemetry: {
      decided: ignore,
      denied: ignore,
      shadowDenied: ignore,
      charged: (meter, units) => tell("charged", meter, units),
      overage: (meter, units) => tell("overage", meter, units),
      reservationEnded: ignore,
      thresholdReached: ignore,
      unpriced: ignore,
      idempotencyEvicted: ignore,
      policyReloaded: ignore,
      policyReloadFailed: ignore,
    },
    take(all) {
      const overage = new Map<string, number>();
      const charged = all.filter(({ units, meter }) => units > 0 && meter !== "requests");
      if (charged.length === 0) return overage;
      // Answers leave in the turn of the loop in which they were made, but for those of a process that ended.
      let made = told.length;
      while (told[made - 1]?.at === now()) made--;
      while (made < told.length && !isAt(made, charged)) made++;
      const start = made < told.length ? made : told.findLastIndex((_, i) => isAt(i, charged));
      if (start < 0) return overage;
      let end = start + charged.length;
      for (let one = told[end]; one?.what === "overage"; one = told[++end]) {
        overage.set(one.meter, one.units);
      }
      told.splice(start, end - start);
      return overage;
    },
  };
}
