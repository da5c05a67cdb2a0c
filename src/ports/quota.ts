/**
 * What the engine offers to whoever speaks with callers (gRPC, tests, the demo): every RPC of QuotaService
 * in the core's own types. Every answer comes through `done`, exactly once: in the same turn where local
 * units suffice, later where the lease store has to be asked.
 */
import type { Operation, Request, Subject } from "../core/operation.ts";
import type { Rejection } from "../core/rejection.ts";
import type { Answer, Balance, Explanation, ReservationView } from "../core/verdict.ts";

/** Who calls, as the transport's credentials say; never a field of the message. */
export interface Caller {
  /** The one tenant that this caller is (credential, `--tenant`); "": any, the subject says (S32). */
  readonly tenant: string;
  /** May see the figures of platform limits (S16a). */
  readonly platform: boolean;
}

export interface Call {
  readonly caller: Caller;
  /** When the caller stops waiting, milliseconds since the Unix epoch; Infinity: never said. */
  readonly deadline: number;
  /** True once the caller has gone: a Reserve that still waits then is not made (S28). Absent: it stays. */
  readonly cancelled?: () => boolean;
}

export type Done<T> = (answer: T | Rejection) => void;

export interface ReservationFilter {
  /** Empty fields match all. */
  readonly subject: Subject;
  /** 1 … 1000. */
  readonly pageSize: number;
  /** "": from the oldest. */
  readonly pageToken: string;
}
export interface ReservationPage {
  readonly reservations: readonly ReservationView[];
  /** "": there is no more. */
  readonly nextPageToken: string;
}

export interface Quota {
  /** The answer is of the operation's own kind (`answer.op === operation.op`). */
  run(call: Call, operation: Operation, done: Done<Answer>): void;
  balance(call: Call, subject: Subject, refresh: boolean, done: Done<readonly Balance[]>): void;
  explain(call: Call, request: Request, done: Done<Explanation>): void;
  reservations(call: Call, filter: ReservationFilter, done: Done<ReservationPage>): void;
  /**
   * The answer of this reservation could not be handed over (cancelled, connection broken, stream ended with
   * `release_on_disconnect`): release it at once. Unknown or settled ids are ignored.
   */
  abandon(reservationId: string): void;
}
