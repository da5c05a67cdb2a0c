/**
 * One request and its answer, on its way to the caller. What a request holds is made before the answer is
 * written, and the caller may be gone by then: a reservation that nobody has heard of would be held until it
 * expires (S28).
 *
 * X1. A reservation without an idempotency key is abandoned unless the answer that names it was handed over.
 * X2. With a key it stays: the same request, sent again, gets the same answer.
 */
import type { Operation } from "../../core/operation.ts";
import type { Answer } from "../../core/verdict.ts";
import type { Call, Caller } from "../../ports/quota.ts";

export type Abandon = (reservationId: string) => void;

export class Exchange implements Call {
  readonly caller: Caller;
  readonly deadline: number;
  readonly #abandon: Abandon;
  #unheard: string[] | undefined;
  #gone = false;

  constructor(caller: Caller, deadline: number, abandon: Abandon) {
    this.caller = caller;
    this.deadline = deadline;
    this.#abandon = abandon;
  }

  cancelled(): boolean {
    return this.#gone;
  }

  /** Tells of an answer that was made for this request. */
  made(operation: Operation, answer: Answer): void {
    if (answer.op !== "reserve" || answer.reservationId === "") return;
    if (operation.op !== "reserve" || operation.idempotencyKey !== "") return;
    if (this.#gone) this.#abandon(answer.reservationId);
    else if (this.#unheard === undefined) this.#unheard = [answer.reservationId];
    else this.#unheard.push(answer.reservationId);
  }

  /** The transport has taken the answer. */
  handedOver(): void {
    this.#unheard = undefined;
  }

  /** The caller has gone. Harmless after {@link handedOver}, and more than once. */
  lost(): void {
    this.#gone = true;
    if (this.#unheard === undefined) return;
    const unheard = this.#unheard;
    this.#unheard = undefined;
    for (const id of unheard) this.#abandon(id);
  }
}
