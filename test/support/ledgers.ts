/** Ledgers and messages with every field filled in, so that a test states only what it is about. */
import type { LedgerBlock, LedgerSpec } from "../../src/core/lease/ledger.ts";
import type { RateRule } from "../../src/core/limit/rate.ts";
import { MAX_UNITS } from "../../src/core/units.ts";

/** A budget of 100 that never ends, unless said. */
export const aLedgerSpec = (parts: Partial<LedgerSpec> = {}): LedgerSpec => ({
  key: "acme/tokens",
  kind: "budget",
  version: 1,
  capacity: 100,
  overdraft: 0,
  refill: { units: 0, everyMs: 1, burst: 0 },
  family: "",
  rollover: 0,
  carryDebt: false,
  start: 0,
  end: MAX_UNITS,
  ...parts,
});

export const aRateSpec = (refill: RateRule, parts: Partial<LedgerSpec> = {}): LedgerSpec =>
  aLedgerSpec({ kind: "rate", capacity: refill.burst, refill, ...parts });

/** What a holder says that has nothing and asks for nothing, unless said. */
export const aBlock = (spec: LedgerSpec, parts: Partial<LedgerBlock> = {}): LedgerBlock => ({
  spec,
  granted: 0,
  spent: 0,
  returned: 0,
  beyond: 0,
  overage: 0,
  refunded: 0,
  need: 0,
  close: false,
  ...parts,
});
