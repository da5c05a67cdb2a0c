/**
 * Replays the traffic as fifty agents would make it: reserve the most that a call may cost, call the model
 * (which answers at once here), commit what it really used. A run makes one call after the other; the runs go
 * on side by side, dealt over as many sidecars as there are. Nothing but what they answer is written down.
 */
import {
  CommitRequest,
  Decision,
  type Denial,
  QuotaServiceService,
  ReserveRequest,
} from "../../gen/imprest/v1/quota.ts";
import type { QuotaConnection } from "../client.ts";
import { findShadowDenial, microsOf, reasonOf } from "./answer.ts";
import { createDealer, MAX_OUTPUT_TOKENS, type ModelCall, type Side, sideOf } from "./traffic.ts";

/** The loop rule of incident.yaml, on trial there. */
const LOOP_RULE = "same-call";

/** What the answers to some callers added up to. */
export interface Tally {
  admitted: number;
  refused: number;
  /** Charged, in usd_micros. */
  spentMicros: number;
  /** How often each limit refused, under "limit REASON". */
  readonly refusedBy: Map<string, number>;
}

export interface Replay {
  readonly tallies: Readonly<Record<Side, Tally>>;
  /** Of each replica, in order. */
  readonly replicas: readonly Tally[];
  /** Number of the loop's call, from 1, at which the shadow loop rule first said that it would refuse. */
  seenAtCall: number | undefined;
  /** What the loop had spent by then, usd_micros. */
  seenAtMicros: number;
  /** The loop's first refused call and the refusal. */
  stopped:
    | { readonly call: number; readonly atSeconds: number; readonly denial: Denial }
    | undefined;
  /** Calls of the loop that were admitted after its first refusal. */
  admittedAfterStop: number;
}

export interface Pace {
  /** Called before each call; a promise holds the replay up. */
  before(call: ModelCall, replay: Replay): Promise<void> | undefined;
}

/** Calls that wait for an answer at any time: enough to keep the socket busy, few enough to stay in order. */
const IN_FLIGHT = 32;

const newTally = (): Tally => ({ admitted: 0, refused: 0, spentMicros: 0, refusedBy: new Map() });

export async function replayTraffic(
  quotas: readonly QuotaConnection[],
  traffic: readonly ModelCall[],
  pace: Pace,
): Promise<Replay> {
  const replay: Replay = {
    tallies: { loop: newTally(), neighbours: newTally(), others: newTally() },
    replicas: quotas.map(newTally),
    seenAtCall: undefined,
    seenAtMicros: 0,
    stopped: undefined,
    admittedAfterStop: 0,
  };
  const replicas = quotas.map((quota, i) => ({ quota, tally: replay.replicas[i] ?? newTally() }));
  const deal = createDealer(quotas.length);
  const runs = new Map<string, Promise<void>>();
  const inFlight = new Set<Promise<void>>();
  const failures: unknown[] = [];
  for (const call of traffic) {
    await pace.before(call, replay);
    // The oldest alone: a race would leave a listener on each of the others, every time.
    while (inFlight.size >= IN_FLIGHT) await inFlight.values().next().value;
    if (failures.length > 0) break;
    const replica = replicas[deal(call)];
    if (replica === undefined) throw new Error("there is no replica to play on");
    const run = `${call.tenant}/${call.run}`;
    const landed = (runs.get(run) ?? Promise.resolve())
      .then(() => replayCall(replica, call, replay))
      .catch((failure: unknown) => void failures.push(failure))
      .finally(() => inFlight.delete(landed));
    inFlight.add(landed);
    runs.set(run, landed);
  }
  await Promise.all(inFlight);
  if (failures.length > 0) throw failures[0];
  return replay;
}

interface Replica {
  readonly quota: QuotaConnection;
  readonly tally: Tally;
}

async function replayCall(
  { quota, tally: own }: Replica,
  call: ModelCall,
  replay: Replay,
): Promise<void> {
  const side = sideOf(call);
  const tally = replay.tallies[side];
  const { message: held } = await quota.call(
    QuotaServiceService.reserve,
    ReserveRequest.fromPartial({
      subject: { tenant: call.tenant, dimensions: new Map([["run", call.run]]) },
      action: { kind: "llm.completion", name: call.model, fingerprint: call.fingerprint },
      usage: { inputTokens: BigInt(call.inputTokens), outputTokens: BigInt(MAX_OUTPUT_TOKENS) },
    }),
  );
  const number = tally.admitted + tally.refused + 1;
  if (
    replay.seenAtCall === undefined &&
    side === "loop" &&
    findShadowDenial(held.verdict, LOOP_RULE)
  ) {
    replay.seenAtCall = number;
    replay.seenAtMicros = tally.spentMicros;
  }
  const { decision, denial } = held.verdict ?? {};
  if (decision !== Decision.ALLOW && decision !== Decision.ALLOW_WITH_CAPS) {
    if (denial === undefined) throw new Error(`a refusal without its reason: ${String(decision)}`);
    const by = `${denial.limit} ${reasonOf(denial)}`;
    for (const each of [tally, own]) {
      each.refused++;
      each.refusedBy.set(by, (each.refusedBy.get(by) ?? 0) + 1);
    }
    if (side === "loop") replay.stopped ??= { call: number, atSeconds: call.atSeconds, denial };
    return;
  }
  const usage = { inputTokens: BigInt(call.inputTokens), outputTokens: BigInt(call.outputTokens) };
  const { message: settled } = await quota.call(
    QuotaServiceService.commit,
    CommitRequest.fromPartial({ reservationId: held.reservationId, usage }),
  );
  for (const each of [tally, own]) {
    each.admitted++;
    each.spentMicros += microsOf(settled.charged);
  }
  if (side === "loop" && replay.stopped !== undefined) replay.admittedAfterStop++;
}
