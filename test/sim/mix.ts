/** What an operation is about, and how much it asks for. */
import type { Chance } from "./chance.ts";
import { LIMITS, type LimitName } from "./scheme.ts";
import type { Load } from "./setting.ts";

/** Chance that an operation is about each limit. */
const MIX: Readonly<Record<Load, Readonly<Record<LimitName, number>>>> = {
  month: { plat: 0.1, month: 1, dept: 0, once: 0, rate: 0, slots: 0 },
  dept: { plat: 0.3, month: 0.7, dept: 0.7, once: 0, rate: 0, slots: 0 },
  once: { plat: 0, month: 0.3, dept: 0, once: 1, rate: 0, slots: 0 },
  rate: { plat: 0, month: 0.3, dept: 0, once: 0, rate: 1, slots: 0 },
  slots: { plat: 0, month: 0.2, dept: 0, once: 0, rate: 0, slots: 1 },
  mix: { plat: 0.3, month: 0.7, dept: 0.4, once: 0.3, rate: 0.4, slots: 0.4 },
};
const MOST: Readonly<Record<LimitName, number>> = {
  plat: 20,
  month: 40,
  dept: 30,
  once: 25,
  rate: 4,
  slots: 0,
};

/** The most that one operation asks for. */
export const mostOf = (meter: string): number => MOST[meter as LimitName] ?? 1;

export function drawAmounts(chance: Chance, load: Load): Partial<Record<LimitName, number>> {
  const mix = MIX[load];
  const amounts: Partial<Record<LimitName, number>> = {};
  for (const name of LIMITS) {
    if (chance.chance(mix[name])) amounts[name] = chance.below(MOST[name]) + 1;
  }
  if (Object.keys(amounts).length === 0) amounts.dept = 1 + chance.below(MOST.dept);
  return amounts;
}
