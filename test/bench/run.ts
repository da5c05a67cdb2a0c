/**
 * `npm run bench`: prints figures, asserts nothing. Absolute figures move by a third between machines and hours; ratios
 * within one run do not. `npm run bench -- --rounds 3 --calls 10000` is a quick look.
 */
import { spawnSync } from "node:child_process";
import path from "node:path";
import { parseArgs } from "node:util";
import { benchUnary } from "./unary.ts";

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "5" },
    calls: { type: "string", default: "20000" },
    only: { type: "string", default: "unary,buckets" },
  },
});
const parts = values.only.split(",");

if (parts.includes("unary")) {
  console.log("== unary calls over a unix socket");
  await benchUnary({ rounds: Number(values.rounds), calls: Number(values.calls) });
}
if (parts.includes("buckets")) {
  console.log("== a decision in the process, by live buckets");
  for (const buckets of [10, 10_000, 1_000_000]) {
    // A process for each: what one leaves behind must not slow the next. A million buckets need their heap.
    const args = ["--max-old-space-size=8192", path.join(import.meta.dirname, "buckets.ts")];
    spawnSync(process.execPath, [...args, String(buckets)], { stdio: "inherit" });
  }
}
