/**
 * How long a reload holds up the main thread: the longest gap of a 1 ms ticker while a document of many tenants
 * is read. `node test/bench/policy-reload.ts`
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createFilePolicySource } from "../../src/adapters/policy/file-source.ts";
import { createClock } from "../../src/adapters/system/clock.ts";

const HEAD = `apiVersion: imprest.dev/v1
kind: Policy
plans:
  pro:
    limits:
      - {name: dollars-per-month, meter: usd_micros, budget: {units: $500, period: month}}
      - {name: rpm, meter: requests, rate: {units: 100, every: 1m}}
tenants:
`;

const tenantText = (i: number): string =>
  `  tenant-${i}:\n    plan: pro\n    timezone: America/New_York\n` +
  `    limits:\n      - {name: dollars-per-month, budget: {units: $${2000 + i}}}\n`;

function documentOf(bytes: number): { text: string; tenants: number } {
  let text = HEAD;
  let tenants = 0;
  while (text.length < bytes) text += tenantText(tenants++);
  return { text, tenants };
}

/** CPU time of this thread, ms. */
function threadCpu(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1_000;
}

interface Pauses {
  /** Longest time between two ticks that were to be 1 ms apart. On a busy machine mostly the scheduler's. */
  readonly wall: number;
  /** The most that this thread computed between two ticks: what the reload itself holds up. */
  readonly cpu: number;
}

function watchPauses(): () => Pauses {
  let [wall, cpu] = [0, 0];
  let [lastWall, lastCpu] = [performance.now(), threadCpu()];
  const timer = setInterval(() => {
    const [nowWall, nowCpu] = [performance.now(), threadCpu()];
    wall = Math.max(wall, nowWall - lastWall);
    cpu = Math.max(cpu, nowCpu - lastCpu);
    [lastWall, lastCpu] = [nowWall, nowCpu];
  }, 1);
  return () => {
    clearInterval(timer);
    return { wall, cpu };
  };
}

const folder = mkdtempSync(join(tmpdir(), "imprest-policy-"));
for (const bytes of [1_300_000, 4_000_000]) {
  const { text, tenants } = documentOf(bytes);
  const file = join(folder, `${tenants}.yaml`);
  writeFileSync(file, text);
  const source = createFilePolicySource(file, { clock: createClock() });
  for (let run = 1; run <= 3; run++) {
    const pauses = watchPauses();
    const began = performance.now();
    const result = await source.load();
    const took = Math.round(performance.now() - began);
    const { wall, cpu } = pauses();
    const state = result.ok ? "ok" : `${result.problems.length} problems`;
    console.log(
      `${tenants} tenants, ${text.length} bytes: ${state} in ${took} ms, longest pause ${wall.toFixed(1)} ms, of which computing ${cpu.toFixed(1)} ms`,
    );
    if (!result.ok) console.log(result.problems.slice(0, 3));
  }
}
rmSync(folder, { recursive: true });
