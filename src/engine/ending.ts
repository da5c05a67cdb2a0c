/** The end of a call, told to the breakers that let it through. */
import { recordOutcome, type Ending } from "../core/limit/breaker.ts";
import type { Circuits } from "./admit.ts";
import type { Core } from "./core.ts";
import type { Now } from "./now.ts";

export function recordEnding(core: Core, circuits: Circuits, ending: Ending, now: Now): void {
  for (const { breaker, circuit } of circuits) {
    if (recordOutcome(circuit, breaker.rule, ending, now.mono)) {
      core.log.info({ breaker: breaker.name }, "circuit opened");
    }
  }
}
