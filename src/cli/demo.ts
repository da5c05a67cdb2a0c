/**
 * `imprest demo`: the incident that Imprest was made for, replayed through real sidecars on unix sockets. Fifty
 * tenants share one provider account; the loop of one of them would empty it for all.
 */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { Visit } from "../adapters/redis/visit.ts";
import { defineCommand, type Command } from "./command.ts";
import type { Problem } from "./configuration.ts";
import { type Pace, replayTraffic } from "./demo/replay.ts";
import { type FleetPlan, withReplicas, writeSharedPolicy } from "./demo/replicas.ts";
import { createScreen, drawOutcome, type Outcome, type Screen } from "./demo/screen.ts";
import { checkClaims, formatCount, readBalances } from "./demo/story.ts";
import { summarize } from "./demo/summary.ts";
import { type ModelCall, planTraffic, TENANTS } from "./demo/traffic.ts";
import { ACCOUNT_LIMIT, chargeUnguarded } from "./demo/unguarded.ts";
import { defaulted, toggle, type Values } from "./flag.ts";
import type { Host } from "./host.ts";
import { onOneLine } from "./ink.ts";
import { count } from "./reader.ts";
import { checkStore, STORE_FLAGS, storeConfig } from "./store-flags.ts";
import { withStore } from "./store-visit.ts";

/** On a terminal the day is slowed down to this, so that it can be watched; elsewhere it takes what it takes. */
const DAY_MS = 6_000;
const POLICY = "deploy/examples/incident.yaml";
const NEXT =
  "npx imprest sidecar --policy deploy/examples/policy.yaml --listen unix:/tmp/imprest.sock";
const NEXT_FLEET = "deploy/guides/fleet.md: your own two sidecars on one store, in five minutes";

const FLAGS = {
  seed: defaulted("N", "1", "Of the traffic: equal seeds give equal calls.", count(0, 0xffff_ffff)),
  replicas: defaulted(
    "N",
    "1",
    "Sidecars that the traffic is dealt over; more than one need a --store that they share.",
    count(1, 16),
  ),
  ...STORE_FLAGS,
  store: {
    ...STORE_FLAGS.store,
    help: "Where units are kept, as `imprest sidecar` takes it. An empty store is prepared; what the demo leaves there is under names of its own, and lapses.",
  },
  json: toggle("One JSON object in place of progress and table."),
};

type DemoValues = Values<typeof FLAGS>;

function check(values: Partial<DemoValues>): readonly Problem[] {
  const { replicas = 1, store } = values;
  const shared = checkStore(values);
  if (replicas === 1 || store !== "memory:") return shared;
  const needs = {
    where: "--store (or IMPREST_STORE)",
    found: `memory:, with --replicas ${replicas}`,
    allowed: "redis://HOST:PORT, of a Redis that is running: a process's memory is not shared",
  };
  return [...shared, needs];
}

export const demo: Command = defineCommand({
  name: "demo",
  about:
    "Replays the incident that Imprest was made for, with real sidecars on unix sockets: fifty tenants share " +
    "a provider account, and one of them runs into a loop. With several replicas their limits hold over all of them.",
  flags: FLAGS,
  check: ({ values }) => check(values),
  examples: [
    { line: "imprest demo", says: "Watch it." },
    {
      line: "imprest demo --replicas 3 --store redis://127.0.0.1:6379",
      says: "The same day over three sidecars that share one Redis.",
    },
    { line: "imprest demo --seed 7 --json", says: "Other traffic, for a program to read." },
  ],
  exits: {
    0: "every claim held",
    1: "a claim did not hold, the store does not answer, or the demo failed",
    2: "a configuration error; nothing was started",
  },
  run(host, { values }) {
    const { store } = values;
    if (store === "memory:") return show(host, values);
    return withStore(host, "demo", { ...values, store }, async (visit) => {
      const problems = await prepare(visit);
      for (const problem of problems) {
        host.stderr.write(`imprest demo: the store cannot be used: ${onOneLine(problem)}\n`);
      }
      return problems.length > 0 ? 1 : show(host, values);
    });
  },
});

/** What speaks against the store; it is ready where nothing does. */
async function prepare(visit: Visit): Promise<readonly string[]> {
  const problems = visit
    .servers()
    .flatMap(({ server, findings }) =>
      findings.filter(({ isFatal }) => isFatal).map(({ text }) => `${server}: ${text}`),
    );
  if (problems.length > 0) return problems;
  const failure = await visit.prepare();
  return failure === "" ? [] : [failure];
}

const SILENT = { write: () => {}, isTty: false, columns: () => undefined };

async function show(host: Host, values: DemoValues): Promise<number> {
  const { seed, json, replicas } = values;
  const screen = createScreen(json ? { ...host, stdout: SILENT } : host);
  const started = performance.now();
  const traffic = planTraffic(seed);
  const outcome = await play(host, values, { traffic, screen });
  const tookMs = Math.round(performance.now() - started);
  if (json) {
    const summary = summarize(outcome, { seed, calls: traffic.length, tookMs });
    host.stdout.write(`${JSON.stringify(summary)}\n`);
  } else {
    const next = replicas === 1 ? NEXT : NEXT_FLEET;
    drawOutcome(screen, outcome);
    screen.line(
      `\nTook ${(tookMs / 1000).toFixed(1)} s. Now with your own numbers:\n\n  ${next}\n`,
    );
  }
  return outcome.claims.every((claim) => claim.held) ? 0 : 1;
}

interface Show {
  readonly traffic: readonly ModelCall[];
  readonly screen: Screen;
}

async function play(host: Host, values: DemoValues, { traffic, screen }: Show): Promise<Outcome> {
  const folder = await mkdtemp(join(tmpdir(), "imprest-demo-"));
  try {
    const { root } = host;
    const policy = fileURLToPath(new URL(POLICY, root));
    const over = values.replicas === 1 ? "" : ` over ${values.replicas} sidecars`;
    screen.line(
      `${TENANTS} tenants, one provider account, a day of ${formatCount(traffic.length)} model calls${over}; policy: ${POLICY}`,
    );
    const store = storeConfig(values);
    const { accountLimit, ...document } =
      store.kind === "memory"
        ? { policy, accountLimit: ACCOUNT_LIMIT }
        : await writeSharedPolicy(policy, folder);
    const { replicas: number } = values;
    const guarded = await withReplicas(
      { root, folder, ...document, replicas: number, store },
      async ({ quotas, leaveOne }) => {
        const pace = paceOf(traffic, screen, host.stdout.isTty);
        const replay = await replayTraffic(quotas, traffic, pace);
        await leaveOne();
        const [quota] = quotas;
        if (quota === undefined) throw new Error("there is no replica to ask");
        return { replay, balances: await readBalances(quota, accountLimit) };
      },
    );
    const unguarded = await playUnguarded({ root, folder, policy }, traffic);
    const claims = checkClaims(traffic, guarded.replay, guarded.balances, unguarded);
    return { ...guarded, unguarded, claims };
  } finally {
    screen.endProgress();
    await rm(folder, { recursive: true, force: true });
  }
}

async function playUnguarded(
  plan: Pick<FleetPlan, "root" | "folder" | "policy">,
  traffic: readonly ModelCall[],
) {
  const policy = join(plan.folder, "shadow.yaml");
  await writeFile(policy, `mode: shadow\n${await readFile(plan.policy, "utf8")}`);
  const alone = { ...plan, policy, replicas: 1, store: { kind: "memory" } } as const;
  return withReplicas(alone, async ({ quotas: [quota] }) => {
    if (quota === undefined) throw new Error("there is no replica to ask");
    return chargeUnguarded(quota, traffic);
  });
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
