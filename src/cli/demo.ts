/**
 * `imprest demo`: the incident that Imprest was made for, replayed through a real sidecar on its unix socket.
 * Fifty tenants share one provider account; the loop of one of them would empty it for all.
 */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { startSidecar } from "../compose/fleet.ts";
import { connect, type QuotaConnection } from "./client.ts";
import { defineCommand, type Command } from "./command.ts";
import { type Pace, replayTraffic } from "./demo/replay.ts";
import { createScreen, drawOutcome, type Outcome, type Screen } from "./demo/screen.ts";
import { checkClaims, formatCount, readBalances } from "./demo/story.ts";
import { summarize } from "./demo/summary.ts";
import { type ModelCall, planTraffic, TENANTS } from "./demo/traffic.ts";
import { chargeUnguarded } from "./demo/unguarded.ts";
import { defaulted, toggle } from "./flag.ts";
import type { Host } from "./host.ts";
import { count } from "./reader.ts";
import { packageVersion } from "./version.ts";

/** On a terminal the day is slowed down to this, so that it can be watched; elsewhere it takes what it takes. */
const DAY_MS = 6_000;
/** A sidecar that takes longer than this, in the same process, is taken for lost. */
const DEADLINE_MS = 10_000;
const POLICY = "deploy/examples/incident.yaml";
const NEXT =
  "npx imprest sidecar --policy deploy/examples/policy.yaml --listen unix:/tmp/imprest.sock";

export const demo: Command = defineCommand({
  name: "demo",
  about:
    "Replays the incident that Imprest was made for, with a real sidecar on a unix socket: fifty tenants share " +
    "a provider account, and one of them runs into a loop.",
  flags: {
    seed: defaulted(
      "N",
      "1",
      "Of the traffic: equal seeds give equal calls.",
      count(0, 0xffff_ffff),
    ),
    json: toggle("One JSON object in place of progress and table."),
  },
  examples: [
    { line: "imprest demo", says: "Watch it." },
    { line: "imprest demo --seed 7 --json", says: "Other traffic, for a program to read." },
  ],
  exits: { 0: "every claim held", 1: "a claim did not hold, or the demo failed" },
  async run(host, { values: { seed, json } }) {
    const screen = createScreen(json ? { ...host, stdout: SILENT } : host);
    const started = performance.now();
    const traffic = planTraffic(seed);
    const outcome = await play(host, traffic, screen);
    const tookMs = Math.round(performance.now() - started);
    const held = outcome.claims.every((claim) => claim.held);
    if (json) {
      host.stdout.write(
        `${JSON.stringify(summarize(outcome, { seed, calls: traffic.length, tookMs }))}\n`,
      );
    } else {
      drawOutcome(screen, outcome);
      screen.line(
        `\nTook ${(tookMs / 1000).toFixed(1)} s. Now with your own numbers:\n\n  ${NEXT}\n`,
      );
    }
    return held ? 0 : 1;
  },
});

const SILENT = { write: () => {}, isTty: false, columns: () => undefined };

async function play(host: Host, traffic: readonly ModelCall[], screen: Screen): Promise<Outcome> {
  const folder = await mkdtemp(join(tmpdir(), "imprest-demo-"));
  try {
    const policy = fileURLToPath(new URL(POLICY, host.root));
    screen.line(
      `${TENANTS} tenants, one provider account, a day of ${formatCount(traffic.length)} model calls; policy: ${POLICY}`,
    );
    const guarded = await withSidecar(host, { folder, policy }, async (quota) => {
      const replay = await replayTraffic(
        quota,
        traffic,
        paceOf(traffic, screen, host.stdout.isTty),
      );
      return { replay, balances: await readBalances(quota) };
    });
    const shadow = join(folder, "shadow.yaml");
    await writeFile(shadow, `mode: shadow\n${await readFile(policy, "utf8")}`);
    const unguarded = await withSidecar(host, { folder, policy: shadow }, (quota) =>
      chargeUnguarded(quota, traffic),
    );
    const claims = checkClaims(traffic, guarded.replay, guarded.balances, unguarded);
    return { ...guarded, unguarded, claims };
  } finally {
    screen.endProgress();
    await rm(folder, { recursive: true, force: true });
  }
}

async function withSidecar<T>(
  host: Host,
  options: { readonly folder: string; readonly policy: string },
  use: (quota: QuotaConnection) => Promise<T>,
): Promise<T> {
  const sidecar = await startSidecar({ ...options, version: packageVersion(host.root) });
  const quota = connect({
    address: sidecar.address,
    timeoutMs: DEADLINE_MS,
    apiKey: undefined,
    root: host.root,
  });
  try {
    return await use(quota);
  } finally {
    quota.close();
    await sidecar.stop();
  }
}

function paceOf(traffic: readonly ModelCall[], screen: Screen, slow: boolean): Pace {
  const started = performance.now();
  const last = traffic.at(-1)?.atSeconds ?? 0;
  return {
    before({ atSeconds }, replay) {
      screen.progress(atSeconds, replay);
      if (!slow) return undefined;
      const early = started + (atSeconds / last) * DAY_MS - performance.now();
      // Timers are not worth it below a few milliseconds.
      return early > 5 ? sleep(early) : undefined;
    },
  };
}
