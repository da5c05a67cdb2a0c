/**
 * What the same traffic costs with nobody in its way: every call is made and charged, on a sidecar whose
 * document is in shadow mode, so that its price book and its limits report without refusing. Where the
 * provider's account would have been empty, the provider itself refuses: for everybody.
 */
import {
  BatchRequest,
  type ConsumeResponse,
  type OperationResult,
  QuotaServiceService,
} from "../../gen/imprest/v1/quota.ts";
import type { QuotaConnection } from "../client.ts";
import { findShadowDenial, microsOf } from "./answer.ts";
import { type ModelCall, sideOf } from "./traffic.ts";

/** The platform limit of incident.yaml that stands for the provider's account. */
export const ACCOUNT_LIMIT = "provider-month";

export interface Unguarded {
  /** Prices of the calls of each side, usd_micros. */
  readonly loopMicros: number;
  readonly neighboursMicros: number;
  readonly othersMicros: number;
  /** When the account was empty; `undefined`: never. */
  readonly emptyAtSeconds: number | undefined;
  /** Calls of the other forty-nine tenants that the provider refuses from then on. */
  readonly othersFailed: number;
}

const OPERATIONS_A_BATCH = 200;

export async function chargeUnguarded(
  quota: QuotaConnection,
  traffic: readonly ModelCall[],
): Promise<Unguarded> {
  const micros = { loop: 0, neighbours: 0, others: 0 };
  let emptyAtSeconds: number | undefined;
  let othersFailed = 0;
  for (let from = 0; from < traffic.length; from += OPERATIONS_A_BATCH) {
    const calls = traffic.slice(from, from + OPERATIONS_A_BATCH);
    const request = BatchRequest.fromPartial({ operations: calls.map(consume) });
    const { results } = (await quota.call(QuotaServiceService.batch, request)).message;
    for (const [index, call] of calls.entries()) {
      const answer = readConsume(results[index]);
      const side = sideOf(call);
      micros[side] += microsOf(answer.charged);
      if (findShadowDenial(answer.verdict, ACCOUNT_LIMIT) === undefined) continue;
      emptyAtSeconds ??= call.atSeconds;
      if (side === "others") othersFailed++;
    }
  }
  return {
    loopMicros: micros.loop,
    neighboursMicros: micros.neighbours,
    othersMicros: micros.others,
    emptyAtSeconds,
    othersFailed,
  };
}

const consume = (call: ModelCall) => ({
  op: {
    $case: "consume" as const,
    value: {
      subject: { tenant: call.tenant, dimensions: new Map([["run", call.run]]) },
      action: { kind: "llm.completion", name: call.model, fingerprint: call.fingerprint },
      usage: { inputTokens: BigInt(call.inputTokens), outputTokens: BigInt(call.outputTokens) },
    },
  },
});

function readConsume(result: OperationResult | undefined): ConsumeResponse {
  if (result?.result?.$case === "consume") return result.result.value;
  throw new Error(`a Consume was answered with ${JSON.stringify(result?.result)}`);
}
