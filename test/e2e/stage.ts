/** What the suites share: a Redis, a namespace with a policy, and agents with a sidecar in it, each with a tenant of its own. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import type { LedgerEntry } from "../../src/cli/ledger-view.ts";
import {
  type Namespace,
  type Said,
  type Store,
  linesOf,
  openNamespace,
  startStore,
  waitFor,
} from "./cluster.ts";
import { configMap } from "./pods.ts";

/** What {@link operation} costs: $0.0014. */
export const CALL_MICROS = 1_400;
export const USAGE = { model: "gpt-4o", input_tokens: "400", output_tokens: "40" };

/** A request of a Check, Reserve or Consume. */
export const operation = (tenant: string) => ({
  subject: { tenant, dimensions: { run: "r-1" } },
  action: { kind: "llm.completion", name: "gpt-4o" },
  usage: USAGE,
});

export const policyOf = (revision: number, dollars: string): string => `
apiVersion: imprest.dev/v1
kind: Policy
revision: ${revision}
default_plan: team
prices:
  - {model: gpt-4o, input: 2.50, output: 10.00}
plans:
  team:
    limits:
      - {name: dollars, meter: usd_micros, budget: {units: ${dollars}, period: once, ttl: 24h}}
`;

export interface Stage {
  readonly space: Namespace;
  readonly store: Store;
  /** Changes what every tenant may spend. */
  setPolicy(revision: number, dollars: string): Promise<void>;
  /** The only ledger that a tenant has. */
  ledger(tenant: string): Promise<LedgerEntry>;
  close(): Promise<void>;
}

export interface StageOptions {
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  /** Words on the command line of its Redis. */
  readonly store?: readonly string[];
}

/** Every tenant may spend $1000. */
export async function openStage(name: string, options: StageOptions = {}): Promise<Stage> {
  const store = await startStore(options.store);
  const space = await openNamespace(name, options);
  const setPolicy = (revision: number, dollars: string): Promise<void> =>
    space.mustApply(configMap("imprest-policy", { "policy.yaml": policyOf(revision, dollars) }));
  await setPolicy(1, "$1000");
  return {
    space,
    store,
    setPolicy,
    async ledger(tenant) {
      const ledgers = await store.ledgers(tenant);
      const [only] = ledgers;
      if (only !== undefined && ledgers.length === 1) return only;
      throw new Error(`${tenant} has ${ledgers.length} ledgers, and not one`);
    },
    async close() {
      // In this order: sidecars that live on would tell the next store of this policy.
      await space.close();
      await store.stop();
    },
  };
}

export interface Tail {
  readonly lines: readonly Said[];
  /** Resolves when the container is gone and all that it said is in `lines`. */
  readonly ended: Promise<unknown>;
}

/** What a container says, also when its pod is deleted meanwhile. Resolves when it is being heard. */
async function follow(space: Namespace, pod: string, container: string): Promise<Tail> {
  const lines: Said[] = [];
  const words = ["-n", space.name, "logs", "-f", pod, "-c", container];
  const child = spawn("kubectl", words, { stdio: ["ignore", "pipe", "inherit"] });
  let rest = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    const whole = (rest + text).split("\n");
    rest = whole.pop() ?? "";
    lines.push(...linesOf(whole.join("\n")));
  });
  const ended = once(child, "close");
  await waitFor(`the log of ${container}`, async () => lines.length > 0);
  return { lines, ended };
}

/** What the agent and the sidecar of a pod say. */
export async function followBoth(space: Namespace, pod: string): Promise<Record<Role, Tail>> {
  const [agent, sidecar] = await Promise.all([
    follow(space, pod, "agent"),
    follow(space, pod, "imprest-sidecar"),
  ]);
  return { agent, sidecar };
}

type Role = "agent" | "sidecar";

/** When it was said first; not a number where it never was. */
export const saidAt = (lines: readonly Said[], what: string): number =>
  lines.find((line) => line.what === what)?.at ?? Number.NaN;
