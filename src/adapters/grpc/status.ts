/**
 * What is no answer, as a gRPC status: rejections, and denials for callers that asked for them so.
 *
 * Every status carries google.rpc.Status in `grpc-status-details-bin`, which stock clients of all languages
 * read. The whole of it is at most 4 KiB (S32b): Python's client refuses a call whose trailers, in base64,
 * come to more than 8 KiB.
 */
import {
  Metadata,
  type ServerInterceptingCallInterface,
  status,
  type StatusObject,
} from "@grpc/grpc-js";
import { REASONS, type Rejection } from "../../core/rejection.ts";
import type { DurationMs } from "../../core/time.ts";
import type { Denial } from "../../core/verdict.ts";
import type { Any } from "../../gen/google/protobuf/any.ts";
import { ErrorInfo, RetryInfo } from "../../gen/google/rpc/error_details.ts";
import { Status } from "../../gen/google/rpc/status.ts";
import { Denial as WireDenial } from "../../gen/imprest/v1/quota.ts";
import { codeOf } from "./code.ts";
import { toDuration } from "./length.ts";
import { cut } from "./text.ts";
import { writeDenial } from "./write-answer.ts";

const DOMAIN = "imprest.dev";
const DETAILS_KEY = "grpc-status-details-bin";
const MOST_DETAILS_BYTES = 4096;
/** Percent-encoded for its own header it may grow ninefold, and it stands in the details a second time. */
const MOST_MESSAGE = 200;
/** Paths hold names of up to 64 characters; what is longer was made up by the caller. */
const MOST_FIELD = 200;

/** What a call is ended with. */
export type CallStatus = Parameters<ServerInterceptingCallInterface["sendStatus"]>[0];

export const OK: CallStatus = { code: status.OK, details: "OK" };
/** Our own mistake: what threw goes on to end the process. */
export const BROKEN: CallStatus = {
  code: status.INTERNAL,
  details: "defect in the sidecar",
};

const detail = (type: string, bytes: Uint8Array): Any => ({
  typeUrl: `type.googleapis.com/${type}`,
  value: Buffer.from(bytes),
});

const errorInfo = (reason: string, metadata: Map<string, string>): Any =>
  detail("google.rpc.ErrorInfo", ErrorInfo.encode({ reason, domain: DOMAIN, metadata }).finish());

function retryInfo(retryAfterMs: DurationMs | undefined): readonly Any[] {
  if (retryAfterMs === undefined) return [];
  const bytes = RetryInfo.encode({ retryDelay: toDuration(retryAfterMs) }).finish();
  return [detail("google.rpc.RetryInfo", bytes)];
}

const denialInfo = (denial: Denial): Any =>
  detail("imprest.v1.Denial", WireDenial.encode(writeDenial(denial)).finish());

/** With the first of `candidates` that fits. Clients compare the inner message with the outer: it is one. */
function toStatus(
  code: status,
  message: string,
  candidates: readonly (readonly Any[])[],
): StatusObject {
  const details = cut(message, MOST_MESSAGE);
  const metadata = new Metadata();
  for (const candidate of candidates) {
    const bytes = Status.encode({ code, message: details, details: candidate }).finish();
    if (bytes.length > MOST_DETAILS_BYTES) continue;
    metadata.set(DETAILS_KEY, Buffer.from(bytes));
    break;
  }
  return { code, details, metadata };
}

export function rejectionStatus(rejection: Rejection): StatusObject {
  const { reason, message, field, retryAfterMs } = rejection;
  const metadata = new Map<string, string>();
  if (field !== undefined) metadata.set("field", cut(field, MOST_FIELD));
  const details = [errorInfo(reason, metadata), ...retryInfo(retryAfterMs)];
  return toStatus(codeOf(REASONS[reason]), message, [details]);
}

/** S32a, S32b: the reason and the time first; the denial as far as it fits. */
export function denialStatus(denial: Denial): StatusObject {
  const { reason, retryAfterMs, message } = denial;
  const first = [errorInfo(reason, new Map()), ...retryInfo(retryAfterMs)];
  const silent = { ...denial, message: "" };
  const bare = { ...silent, scope: "" };
  return toStatus(status.RESOURCE_EXHAUSTED, message, [
    [...first, denialInfo(denial)],
    [...first, denialInfo(silent)],
    [...first, denialInfo(bare)],
    first,
  ]);
}
