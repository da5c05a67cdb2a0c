/**
 * The traffic of the incident: eight hours of fifty tenants, as a list of model calls in the order of their time.
 *
 * One tenant's agent re-reads the same 200-page PDF every ten seconds and keeps everything that it has read and
 * answered before in the prompt, so that each call costs more than the one before, until the prompt fills the
 * model's window and each further call costs two dollars. Nobody looks at it for eight hours. All else is
 * ordinary work, that tenant's other runs included.
 *
 *   IT1  equal seeds give equal traffic: nothing here knows a clock or the machine's randomness.
 *   IT2  the calls of the loop carry one fingerprint and their prompts never shrink; all other fingerprints differ.
 *   IT3  dealt over replicas, ordinary calls go to them by turns, and the loop from one to the next, ten calls at
 *        each: neither an even split nor one that moves shows in what is admitted.
 *
 * It does not say what a call costs: that is the sidecar's business, from the price book of the policy.
 */

export const TENANTS = 50;

const tenantName = (n: number): string => `tenant-${String(n).padStart(2, "0")}`;

export const tenantNames = (): readonly string[] =>
  Array.from({ length: TENANTS }, (_, i) => tenantName(i + 1));

export const LOOP_TENANT = "tenant-17";
export const LOOP_RUN = "read-contract";

/** What the callers reserve for an answer before they know how long it gets. */
export const MAX_OUTPUT_TOKENS = 4_096;

const HOURS = 8;
const DAY_SECONDS = HOURS * 3600;
const LOOP_EVERY_SECONDS = 10;
/** 200 pages of about 600 tokens. */
const PDF_TOKENS = 120_000;
/** gpt-4.1 takes 1,047,576 tokens of prompt and answer; the agent's framework trims to this. */
const WINDOW_TOKENS = 1_000_000;
const RUNS_A_TENANT = 4;
const CALLS_A_RUN = 10;

export interface ModelCall {
  /** Seconds since the start of the replayed day. */
  readonly atSeconds: number;
  readonly tenant: string;
  readonly run: string;
  readonly model: string;
  readonly fingerprint: string;
  readonly inputTokens: number;
  /** What the model turns out to answer; known only after the call. */
  readonly outputTokens: number;
}

/** Whose call it is: the loop's, its tenant's other runs', or one of the other forty-nine tenants'. */
export type Side = "loop" | "neighbours" | "others";

export function sideOf(call: ModelCall): Side {
  if (call.tenant !== LOOP_TENANT) return "others";
  return call.run === LOOP_RUN ? "loop" : "neighbours";
}

/** More than the loop rule needs to see a loop: rules like it are counted by each replica on its own. */
const LOOP_STAYS = 10;

/** Tells to which replica each call goes, from 0, in the order of the traffic (IT3). */
export function createDealer(replicas: number): (call: ModelCall) => number {
  let ordinary = 0;
  let looped = 0;
  return (call) =>
    (sideOf(call) === "loop" ? Math.floor(looped++ / LOOP_STAYS) : ordinary++) % replicas;
}

/** Uniform in 0 ≤ x < 1 (mulberry32): small, and the same on every machine. */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export function planTraffic(seed: number): readonly ModelCall[] {
  const random = randomFrom(seed);
  const between = (low: number, high: number) => Math.floor(low + random() * (high - low + 1));
  const calls = planLoop(between);
  for (const tenant of tenantNames()) {
    for (let run = 1; run <= RUNS_A_TENANT; run++) calls.push(...planRun(tenant, run, between));
  }
  return calls.toSorted((a, b) => a.atSeconds - b.atSeconds);
}

type Between = (low: number, high: number) => number;

function planLoop(between: Between): ModelCall[] {
  const calls: ModelCall[] = [];
  let inputTokens = PDF_TOKENS;
  for (let atSeconds = 0; atSeconds < DAY_SECONDS; atSeconds += LOOP_EVERY_SECONDS) {
    const outputTokens = between(800, 1_600);
    calls.push({
      atSeconds,
      tenant: LOOP_TENANT,
      run: LOOP_RUN,
      model: "gpt-4.1",
      fingerprint: "summarize:contract.pdf",
      inputTokens,
      outputTokens,
    });
    // The answer, and the chapters that it asked for, stay in the prompt (IT2).
    inputTokens = Math.min(WINDOW_TOKENS, inputTokens + outputTokens + between(3_000, 7_000));
  }
  return calls;
}

/** An ordinary run: ten calls, mostly to the small model, spread over half an hour. */
function planRun(tenant: string, number: number, between: Between): ModelCall[] {
  const run = `run-${number}`;
  let atSeconds = between(0, DAY_SECONDS - 1800);
  return Array.from({ length: CALLS_A_RUN }, (_, step) => {
    atSeconds += between(30, 180);
    const large = between(1, 10) <= 3;
    return {
      atSeconds,
      tenant,
      run,
      model: large ? "gpt-4.1" : "gpt-4.1-mini",
      fingerprint: `${tenant}/${run}/step-${step}`,
      inputTokens: large ? between(10_000, 150_000) : between(2_000, 20_000),
      outputTokens: large ? between(500, 3_000) : between(200, 1_500),
    };
  });
}
