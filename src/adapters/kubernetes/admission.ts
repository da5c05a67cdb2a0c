/** The wire of admission: AdmissionReview v1 in, AdmissionReview v1 out. */
import { z } from "zod";
import type { Pod } from "../../core/inject/pod.ts";
import type { Ruling } from "../../core/inject/ruling.ts";
import { readPod } from "./object.ts";

export interface AdmissionRequest {
  readonly uid: string;
  readonly namespace: string;
  readonly isDryRun: boolean;
  /** "": the API server has yet to make one up. */
  readonly name: string;
  readonly pod: Pod;
}

const Review = z.object({
  apiVersion: z.literal("admission.k8s.io/v1"),
  kind: z.literal("AdmissionReview"),
  request: z.object({
    uid: z.string().min(1),
    kind: z.object({ kind: z.literal("Pod") }),
    namespace: z.string().min(1),
    name: z.string().nullish(),
    operation: z.literal("CREATE"),
    dryRun: z.boolean().nullish(),
    object: z.unknown(),
  }),
});

/** @throws ZodError or SyntaxError: nobody who asks like this is the API server */
export function readReview(body: string): AdmissionRequest {
  const { request } = Review.parse(JSON.parse(body));
  return {
    uid: request.uid,
    // The pod's own may be empty at this point.
    namespace: request.namespace,
    isDryRun: request.dryRun ?? false,
    name: request.name ?? "",
    pod: readPod(request.object),
  };
}

/** A warning is cut by the API server at 256 characters each, 4 kB together. */
const WARNING_CHARACTERS = 250;

const brief = (text: string): string =>
  text.length > WARNING_CHARACTERS ? `${text.slice(0, WARNING_CHARACTERS - 1)}…` : text;

export function writeReview(uid: string, ruling: Ruling): string {
  const response = { uid, ...answer(ruling) };
  return JSON.stringify({ apiVersion: "admission.k8s.io/v1", kind: "AdmissionReview", response });
}

function answer(ruling: Ruling): Readonly<Record<string, unknown>> {
  switch (ruling.kind) {
    case "ignored":
      return { allowed: true };
    case "skipped":
      return {
        allowed: true,
        warnings: [brief(`imprest: ${ruling.message}`)],
        auditAnnotations: { skipped: ruling.reason },
      };
    case "refused":
      return {
        allowed: false,
        status: {
          ...(ruling.reason === "Tenant"
            ? { code: 403, reason: "Forbidden" }
            : { code: 422, reason: "Invalid" }),
          message: `imprest: ${ruling.problems.join("; ")}`,
        },
        auditAnnotations: { refused: ruling.reason },
      };
    case "injected":
      return {
        allowed: true,
        ...(ruling.patch.length === 0
          ? {}
          : {
              patchType: "JSONPatch",
              patch: Buffer.from(JSON.stringify(ruling.patch)).toString("base64"),
            }),
        warnings: ruling.warnings.map((warning) => brief(`imprest: ${warning}`)),
        auditAnnotations: { profile: ruling.profile },
      };
  }
}
