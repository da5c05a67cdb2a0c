/** The calls that the benchmark makes, and what a server that decides nothing answers to them. */
import {
  CheckRequest,
  CheckResponse,
  CommitRequest,
  CommitResponse,
  ConsumeRequest,
  ConsumeResponse,
  Decision,
  ReserveRequest,
  ReserveResponse,
} from "../../src/gen/imprest/v1/quota.ts";

/** A rate, a month's dollars and a budget for each run: three limits to a call, none of them ever exhausted. */
export const POLICY = `apiVersion: imprest.dev/v1
kind: Policy
prices:
  - {model: "gpt-4o*", input: 2.50, output: 10.00}
tenants:
  acme:
    limits:
      - {name: requests-per-second, meter: requests, rate: {units: 1000000, every: 1s}}
      - {name: dollars-per-month, meter: usd_micros, budget: {units: 1000000000000, period: month}}
      - {name: tokens-per-run, meter: tokens, per: [run], budget: {units: 1000000000000, period: month}}
`;

const request = {
  subject: {
    tenant: "acme",
    workflow: "invoices",
    agent: "reader",
    dimensions: new Map([["run", "r-7"]]),
  },
  action: { kind: "llm.completion", name: "gpt-4o" },
  usage: { inputTokens: 1_200n, outputTokens: 300n },
};
const RESERVATION_ID = "0123456789abcdefABCDEF";

const encode = (message: { finish(): Uint8Array }): Buffer => Buffer.from(message.finish());

/** Requests as they go over the wire. */
export const REQUESTS = {
  check: encode(CheckRequest.encode(CheckRequest.fromPartial(request))),
  consume: encode(ConsumeRequest.encode(ConsumeRequest.fromPartial(request))),
  reserve: encode(ReserveRequest.encode(ReserveRequest.fromPartial(request))),
  commit: (reservationId: string): Buffer =>
    encode(
      CommitRequest.encode(
        CommitRequest.fromPartial({
          reservationId,
          usage: { inputTokens: 1_200n, outputTokens: 250n },
        }),
      ),
    ),
};

const amounts = [
  { meter: "requests", units: 1n },
  { meter: "tokens", units: 1_500n },
  { meter: "usd_micros", units: 6_000n },
];
const verdict = { decision: Decision.ALLOW, decisionId: RESERVATION_ID };

/** What Imprest would answer, in shape and size. */
export const ANSWERS = {
  check: CheckResponse.fromPartial({ verdict: { decision: Decision.ALLOW } }),
  consume: ConsumeResponse.fromPartial({ verdict, charged: amounts }),
  reserve: ReserveResponse.fromPartial({
    verdict,
    reservationId: RESERVATION_ID,
    expiresAt: { seconds: 1_800_000_000n, nanos: 0 },
    reserved: amounts,
  }),
  commit: CommitResponse.fromPartial({
    charged: amounts,
    verdict: { decision: Decision.ALLOW },
  }),
};

export const reservationIdOf = (answer: Buffer): string =>
  ReserveResponse.decode(answer).reservationId;
