/** The unary methods: how each request is read, run and answered. */
import type { BinaryWriter } from "@bufbuild/protobuf/wire";
import { isRejection, reject, type Rejection } from "../../core/rejection.ts";
import type { Operation, Request, Subject } from "../../core/operation.ts";
import type { Answer, Balance, Explanation } from "../../core/verdict.ts";
import * as wire from "../../gen/imprest/v1/quota.ts";
import type { Call, Done, Quota, ReservationFilter, ReservationPage } from "../../ports/quota.ts";
import {
  readBalanceSubject,
  readBatched,
  readCheck,
  readCommit,
  readConsume,
  readExplain,
  readExtend,
  readFilter,
  readRelease,
  readReserveAlone,
} from "./read-request.ts";
import { type Result, type Run, runTogether } from "./run.ts";
import { encodeShared } from "./shared-writer.ts";
import type { UnaryCall } from "./unary-call.ts";
import {
  writeBalances,
  writeCheck,
  writeCommit,
  writeConsume,
  writeExplanation,
  writeExtend,
  writePage,
  writeRelease,
  writeReserve,
  writeResult,
} from "./write-answer.ts";

/** Answers the call, now or later, with exactly one of its `answer`, `deny` and `reject`. */
export type Handle<Message> = (request: Message, call: UnaryCall) => void;

export interface Method<Message = never> {
  readonly handle: Handle<Message>;
  /** Looks at the metadata `imprest-deny` (S32a: on Batch it is ignored). */
  readonly heedsWish: boolean;
}

const MOST_OPERATIONS = 1000;

/** Of Batch, and of each message of a Stream. */
export function badCount(operations: number): Rejection | undefined {
  if (operations >= 1 && operations <= MOST_OPERATIONS) return undefined;
  const message = `there are ${operations} operations; allowed: 1 to ${MOST_OPERATIONS}`;
  return reject("BAD_SIZE", message, "operations");
}

function writeAnswer(answer: Answer, writer: BinaryWriter): BinaryWriter {
  switch (answer.op) {
    case "check":
      return wire.CheckResponse.encode(writeCheck(answer), writer);
    case "reserve":
      return wire.ReserveResponse.encode(writeReserve(answer), writer);
    case "commit":
      return wire.CommitResponse.encode(writeCommit(answer), writer);
    case "release":
      return wire.ReleaseResponse.encode(writeRelease(answer), writer);
    case "extend":
      return wire.ExtendResponse.encode(writeExtend(answer), writer);
    case "consume":
      return wire.ConsumeResponse.encode(writeConsume(answer), writer);
  }
}

/** What the caller may have asked to hear as an error. A Commit has charged, whatever its verdict says. */
function denialOf(answer: Answer) {
  if (answer.op === "commit" || answer.op === "release") return undefined;
  return answer.verdict.decision === "deny" ? answer.verdict.denial : undefined;
}

function decide<Message>(
  run: Run,
  read: (request: Message) => Operation | Rejection,
): Method<Message> {
  const handle: Handle<Message> = (request, call) => {
    const operation = read(request);
    if (isRejection(operation)) return call.reject(operation);
    run(call.exchange, operation, (answer) => {
      if (isRejection(answer)) return call.reject(answer);
      const denial = call.deniesByStatus ? denialOf(answer) : undefined;
      if (denial === undefined) call.answer(encodeShared((writer) => writeAnswer(answer, writer)));
      else call.deny(denial);
    });
  };
  return { handle, heedsWish: true };
}

/** The methods that only look. */
function look<Message, Query extends object, View extends object>(options: {
  readonly read: (request: Message) => Query | Rejection;
  readonly ask: (call: Call, query: Query, request: Message, done: Done<View>) => void;
  readonly encode: (view: View) => Uint8Array;
}): Method<Message> {
  const handle: Handle<Message> = (request, call) => {
    const query = options.read(request);
    if (isRejection(query)) return call.reject(query);
    options.ask(call.exchange, query, request, (view) => {
      if (isRejection(view)) call.reject(view);
      else call.answer(options.encode(view));
    });
  };
  return { handle, heedsWish: true };
}

export const writeResults = (results: readonly Result[]): readonly wire.OperationResult[] =>
  results.map(writeResult);

function batch(run: Run): Method<wire.BatchRequest> {
  const handle: Handle<wire.BatchRequest> = ({ operations }, call) => {
    const flaw = badCount(operations.length);
    if (flaw !== undefined) return call.reject(flaw);
    runTogether(run, call.exchange, operations.map(readBatched), (results) => {
      call.answer(wire.BatchResponse.encode({ results: writeResults(results) }).finish());
    });
  };
  return { handle, heedsWish: false };
}

/** Under the names that the generated definition gives them. */
export function createMethods(quota: Quota, run: Run) {
  return {
    check: decide(run, readCheck),
    reserve: decide(run, readReserveAlone),
    commit: decide(run, readCommit),
    release: decide(run, readRelease),
    extend: decide(run, readExtend),
    consume: decide(run, readConsume),
    batch: batch(run),
    getBalance: look<wire.GetBalanceRequest, Subject, readonly Balance[]>({
      read: readBalanceSubject,
      ask: (call, subject, request, done) => quota.balance(call, subject, request.refresh, done),
      encode: (balances) => wire.GetBalanceResponse.encode(writeBalances(balances)).finish(),
    }),
    explain: look<wire.ExplainRequest, Request, Explanation>({
      read: readExplain,
      ask: (call, request, _, done) => quota.explain(call, request, done),
      encode: (view) => wire.ExplainResponse.encode(writeExplanation(view)).finish(),
    }),
    listReservations: look<wire.ListReservationsRequest, ReservationFilter, ReservationPage>({
      read: readFilter,
      ask: (call, filter, _, done) => quota.reservations(call, filter, done),
      encode: (page) => wire.ListReservationsResponse.encode(writePage(page)).finish(),
    }),
  } satisfies Record<string, Method>;
}
