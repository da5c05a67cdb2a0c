/**
 * What a caller asks, in the core's own words: checked for shape and size (semantics S2, S5, S33) by whoever
 * builds it (the gRPC codec), free of wire types. Absent strings are "", absent numbers `undefined`.
 */
import type { DurationMs } from "./time.ts";
import type { Units } from "./units.ts";

export interface Subject {
  /** "": the caller's credential or `--tenant` says. */
  readonly tenant: string;
  readonly workspace: string;
  readonly app: string;
  readonly workflow: string;
  readonly agent: string;
  readonly toolset: string;
  /** At most 16 further levels: run, session, user… */
  readonly dimensions: ReadonlyMap<string, string>;
}

export interface Action {
  /** category.operation: "llm.completion". */
  readonly kind: string;
  /** Model or tool. */
  readonly name: string;
  readonly tags: readonly string[];
  /** "": not looked at by loops. */
  readonly fingerprint: string;
}

export interface Amount {
  readonly meter: string;
  readonly units: Units;
}

/** Units of one meter; undefined where it is not among the amounts. */
export function unitsOf(amounts: readonly Amount[], meter: string): Units | undefined {
  for (const amount of amounts) if (amount.meter === meter) return amount.units;
  return undefined;
}

/** Token usage of one model call. `undefined` counts: not stated (S5a); cache and reasoning counts: 0. */
export interface ModelUsage {
  /** "": action.name is priced. */
  readonly model: string;
  readonly inputTokens: Units | undefined;
  readonly outputTokens: Units | undefined;
  readonly cacheReadTokens: Units;
  readonly cacheWriteTokens: Units;
  readonly reasoningTokens: Units;
  readonly inputBytes: Units;
  readonly outputBytes: Units;
}

export type Outcome = "success" | "error" | "aborted";
export type UsageSource = "provider" | "estimated" | "reserved";

/** What every operation that is decided names. */
export interface Request {
  readonly subject: Subject;
  readonly action: Action;
  /** No meter twice. */
  readonly amounts: readonly Amount[];
  readonly usage: ModelUsage | undefined;
  readonly verbose: boolean;
}

export interface Check extends Request {
  readonly op: "check";
}

export interface Reserve extends Request {
  readonly op: "reserve";
  /** 1 s … 24 h. */
  readonly ttlMs: DurationMs;
  readonly idempotencyKey: string;
  readonly dryRun: boolean;
  readonly bestEffort: boolean;
  /** Whether its end of stream releases it; told here only because equal keys need equal requests (S28). */
  readonly releaseOnDisconnect?: boolean;
}

export interface Commit {
  readonly op: "commit";
  readonly reservationId: string;
  readonly amounts: readonly Amount[];
  readonly usage: ModelUsage | undefined;
  readonly idempotencyKey: string;
  readonly outcome: Outcome;
  readonly partial: boolean;
  readonly labels: ReadonlyMap<string, string>;
  readonly latencyMs: DurationMs | undefined;
  readonly usageSource: UsageSource;
}

export interface Release {
  readonly op: "release";
  readonly reservationId: string;
  readonly idempotencyKey: string;
  readonly reason: string;
}

export interface Extend {
  readonly op: "extend";
  readonly reservationId: string;
  readonly byMs: DurationMs;
  readonly add: readonly Amount[];
  readonly idempotencyKey: string;
}

export interface Consume extends Request {
  readonly op: "consume";
  readonly idempotencyKey: string;
  readonly labels: ReadonlyMap<string, string>;
  readonly usageSource: UsageSource;
  readonly alreadySpent: boolean;
  readonly outcome: Outcome;
}

export type Operation = Check | Reserve | Commit | Release | Extend | Consume;
export type OperationName = Operation["op"];
