/**
 * The reservations of one stream that end with it (release_on_disconnect). Those that the stream itself
 * settles are forgotten; those that are settled elsewhere or expire cannot be seen from here, so the oldest
 * make room when there are too many: by then they are long past.
 */
import type { Answer } from "../../core/verdict.ts";
import type { Operation } from "../../gen/imprest/v1/quota.ts";
import type { Abandon } from "./exchange.ts";

const MOST_TIED = 100_000;

export class TiedReservations {
  readonly #ids = new Set<string>();
  readonly #abandon: Abandon;

  constructor(abandon: Abandon) {
    this.#abandon = abandon;
  }

  /** `ended`: the stream is gone already, and what was just made goes with it. */
  note(op: NonNullable<Operation["op"]>, answer: Answer, ended: boolean): void {
    if (op.$case === "commit" && !op.value.partial) this.#ids.delete(op.value.reservationId);
    else if (op.$case === "release") this.#ids.delete(op.value.reservationId);
    else if (op.$case === "reserve" && op.value.releaseOnDisconnect && answer.op === "reserve") {
      this.#tie(answer.reservationId, ended);
    }
  }

  release(): void {
    for (const id of this.#ids) this.#abandon(id);
    this.#ids.clear();
  }

  #tie(id: string, ended: boolean): void {
    if (id === "") return;
    if (ended) return this.#abandon(id);
    this.#ids.add(id);
    if (this.#ids.size <= MOST_TIED) return;
    const [oldest] = this.#ids;
    if (oldest !== undefined) this.#ids.delete(oldest);
  }
}
