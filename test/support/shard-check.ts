/** What holds of a shard after every message, whatever was said: the sums are those of the records. */
import assert from "node:assert/strict";
import { outOf, owing } from "../../src/core/lease/ledger.ts";
import type { HolderRecord, SharedLedger } from "../../src/core/lease/shared-ledger.ts";
import type { Shard } from "../../src/core/lease/shard.ts";
import { MAX_UNITS } from "../../src/core/units.ts";

/** Throws where an invariant is broken; its message begins with the invariant's number. */
export function checkShard(shard: Shard): void {
  for (const ledger of shard.ledgers.values()) {
    checkSums(ledger);
    checkFigures(ledger);
    assert.ok(ledger.fence <= (shard.meta?.fence ?? 0), `SH4 ${ledger.spec.key}`);
  }
}

function checkSums(ledger: SharedLedger): void {
  const records = Array.from(ledger.records.values());
  const sum = (of: (record: HolderRecord) => number): number =>
    records.reduce((all, record) => all + of(record), 0);
  const isLive = ({ state }: HolderRecord): boolean => state === "live";
  const name = ledger.spec.key;
  for (const record of records) assert.ok(outOf(record) >= 0, `LG1 ${name}`);
  const closed = sum((record) => (record.state === "closed" ? outOf(record) : 0));
  assert.equal(closed, 0, `SL7 ${name}: closed with units out`);
  const out = sum((record) => (isLive(record) ? outOf(record) : 0));
  assert.equal(ledger.out, out, `SL1 ${name}: out`);
  const lapsed = sum((record) => (record.state !== "live" ? outOf(record) : 0));
  const isBudget = ledger.spec.kind === "budget";
  assert.equal(ledger.quarantined, isBudget ? lapsed : 0, `SL1, SL4 ${name}: quarantined`);
  const spent = sum((record) => record.spent);
  // A sum that had stopped at 2^53−1 before a reset cannot be known any more.
  if (ledger.folded >= 0 && ledger.folded + spent < MAX_UNITS) {
    assert.equal(ledger.settled, ledger.folded + spent, `SL2 ${name}: settled`);
  }
  assert.equal(
    ledger.demand,
    sum((record) => record.demand),
    `SL8 ${name}: demand`,
  );
  assert.equal(
    ledger.askers,
    sum((record) => (record.demand > 0 ? 1 : 0)),
    `SL8 ${name}: askers`,
  );
  assert.equal(
    ledger.live,
    sum((record) => (isLive(record) ? 1 : 0)),
    `SL8 ${name}: live`,
  );
  const missing = sum((record) => (isLive(record) && record.fence !== ledger.fence ? 1 : 0));
  assert.equal(ledger.missing, missing, `SL8 ${name}: missing`);
}

function checkFigures(ledger: SharedLedger): void {
  const { spec, rate, records, waiters, lows, ...figures } = ledger;
  const name = spec.key;
  const all = [figures, rate ?? {}, ...records.values(), ...waiters, ...lows];
  for (const [figure, value] of all.flatMap((one) => Object.entries(one))) {
    if (typeof value === "number") assert.ok(Number.isSafeInteger(value), `LG6 ${name}: ${figure}`);
  }
  assert.ok(ledger.out + ledger.quarantined <= MAX_UNITS, `LG6 ${name}: out`);
  if (rate && rate.level > 0 && ledger.out <= spec.capacity) {
    assert.ok(rate.level + ledger.out <= spec.capacity, `OF3 ${name}: above the burst`);
  }
  assert.ok(ledger.owed >= 0 && owing({ ...ledger, carried: 0 }) === ledger.owed, `LG4 ${name}`);
}
