/** The one place that knows canonical codes by number. */
import { status } from "@grpc/grpc-js";
import type { RejectionCode } from "../../core/rejection.ts";

export const codeOf = (code: RejectionCode): status => status[code];
