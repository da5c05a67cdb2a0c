/**
 * One Stream, answered from the interceptor's listener: the bidirectional stream object of the library costs
 * four times as much for each message, and what it gives has to be kept here.
 *
 * T1. Messages are started in the order received; each has exactly one response, sent when it is complete.
 * T2. Flow control: nothing more is read while too much waits to be run or to be sent. A reader that has
 *     fallen silent holds at most {@link MOST_UNSENT_BYTES} and one response more.
 * T3. A sequence is in use until its response was handed over.
 * T4. Half-close: every response, then OK. Drain: every response to what was received, then UNAVAILABLE.
 * T5. However the stream ends, what was reserved with release_on_disconnect is released, as is what no
 *     response was handed over for (X1).
 */
import { Metadata, type ServerInterceptingCallInterface } from "@grpc/grpc-js";
import { DRAINING, isRejection, reject, type Rejection } from "../../core/rejection.ts";
import { type Operation, type StreamRequest, StreamResponse } from "../../gen/imprest/v1/quota.ts";
import { Exchange } from "./exchange.ts";
import type { LongCall } from "./gate.ts";
import { badCount, writeResults } from "./methods.ts";
import { readStreamed } from "./read-request.ts";
import { type Result, runInOrder } from "./run.ts";
import type { Desk, Undecoded } from "./service.ts";
import { BROKEN, OK, rejectionStatus } from "./status.ts";
import { TiedReservations } from "./tied-reservations.ts";
import { deadlineOf } from "./unary-call.ts";
import { writeError } from "./write-answer.ts";

/** Messages that are run or wait to be sent. Measured: fewer costs throughput, more costs memory alone. */
const MOST_PENDING = 64;
/** Bytes that wait to be sent. Full batches answer with some 100 KiB each. */
const MOST_UNSENT_BYTES = 256 * 1024;
const MOST_STREAMS = 1000;

const TOO_MANY_STREAMS: Rejection = {
  rejected: true,
  reason: "TOO_MANY_STREAMS",
  message: `there are ${MOST_STREAMS} streams open`,
  retryAfterMs: 1000,
};

export class StreamCall implements LongCall {
  readonly #call: ServerInterceptingCallInterface;
  readonly #desk: Desk;
  readonly #tied: TiedReservations;
  /** Of messages whose response is not handed over. */
  readonly #pending = new Map<bigint, Exchange>();
  #unsentBytes = 0;
  /** Malformed messages whose `error` is not handed over: they have no sequence of their own. */
  #errors = 0;
  #reading = false;
  #halfClosed = false;
  #draining = false;
  /** The status is queued. */
  #closing = false;
  /** The caller can hear nothing more. */
  #ended = false;

  constructor(call: ServerInterceptingCallInterface, desk: Desk) {
    this.#call = call;
    this.#desk = desk;
    this.#tied = new TiedReservations(desk.abandon);
  }

  onReceiveMetadata(_metadata: Metadata): void {
    const { gate } = this.#desk;
    gate.enter();
    if (gate.isDraining()) return this.#call.sendStatus(rejectionStatus(DRAINING));
    if (gate.longCalls() >= MOST_STREAMS) {
      return this.#call.sendStatus(rejectionStatus(TOO_MANY_STREAMS));
    }
    gate.enterLong(this);
    this.#call.sendMetadata(new Metadata());
    this.#readOn();
  }

  onReceiveMessage(request: StreamRequest | Undecoded): void {
    this.#reading = false;
    try {
      this.#start(request);
    } catch (defect) {
      this.#call.sendStatus(BROKEN);
      throw defect;
    }
    this.#readOn();
  }

  onReceiveHalfClose(): void {
    this.#halfClosed = true;
    this.#endIfDone();
  }

  /** The last that is heard of every stream, those that ended well included. */
  onCancel(): void {
    this.#ended = true;
    for (const exchange of this.#pending.values()) exchange.lost();
    this.#tied.release();
    this.#desk.gate.leaveLong(this);
    this.#desk.gate.leave();
  }

  /** What has arrived by now is in the library's queue: two turns are enough to read it. */
  drain(): void {
    setImmediate(() =>
      setImmediate(() => {
        this.#draining = true;
        this.#endIfDone();
      }),
    );
  }

  #start(request: StreamRequest | Undecoded): void {
    if (isRejection(request)) return this.#sendError(request.sequence, request);
    const { sequence, operations } = request;
    const flaw = badCount(operations.length) ?? this.#badSequence(sequence);
    if (flaw !== undefined) return this.#sendError(sequence, flaw);
    const exchange = new Exchange(this.#desk.caller, deadlineOf(this.#call), this.#desk.abandon);
    this.#pending.set(sequence, exchange);
    runInOrder(this.#desk.run, exchange, operations.map(readStreamed), (results) => {
      this.#noteTied(operations, results);
      this.#sendResults(sequence, exchange, results);
    });
  }

  #badSequence(sequence: bigint): Rejection | undefined {
    if (!this.#pending.has(sequence)) return undefined;
    return reject("NOT_ALLOWED_HERE", `sequence ${sequence} is in use`, "sequence");
  }

  #noteTied(operations: readonly Operation[], results: readonly Result[]): void {
    for (const [i, result] of results.entries()) {
      const op = operations[i]?.op;
      if (op === undefined || isRejection(result)) continue;
      this.#tied.note(op, result, this.#ended);
    }
  }

  #sendResults(sequence: bigint, exchange: Exchange, results: readonly Result[]): void {
    if (this.#ended) {
      this.#pending.delete(sequence);
      return;
    }
    const response = { sequence, results: writeResults(results), error: undefined };
    this.#send(response, () => {
      exchange.handedOver();
      this.#pending.delete(sequence);
    });
  }

  #sendError(sequence: bigint, flaw: Rejection): void {
    this.#errors += 1;
    this.#send({ sequence, results: [], error: writeError(flaw) }, () => {
      this.#errors -= 1;
    });
  }

  #send(response: StreamResponse, handedOver: () => void): void {
    const bytes = StreamResponse.encode(response).finish();
    this.#unsentBytes += bytes.length;
    this.#call.sendMessage(bytes, () => {
      this.#unsentBytes -= bytes.length;
      handedOver();
      this.#readOn();
      this.#endIfDone();
    });
  }

  #readOn(): void {
    if (this.#reading || this.#halfClosed || this.#draining || this.#ended) return;
    if (this.#pending.size + this.#errors >= MOST_PENDING) return;
    if (this.#unsentBytes >= MOST_UNSENT_BYTES) return;
    this.#reading = true;
    this.#call.startRead();
  }

  #endIfDone(): void {
    if (this.#closing || this.#pending.size + this.#errors > 0) return;
    if (!this.#halfClosed && !this.#draining) return;
    this.#closing = true;
    this.#call.sendStatus(this.#halfClosed ? OK : rejectionStatus(DRAINING));
  }
}
