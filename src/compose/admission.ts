/** One review, from its body to the answer's: what is ruled about the pod, counted, logged and told. */
import { ZodError } from "zod";
import {
  readReview,
  writeReview,
  type AdmissionRequest,
} from "../adapters/kubernetes/admission.ts";
import { newsOr } from "../adapters/kubernetes/patience.ts";
import type { Watched } from "../adapters/kubernetes/watched.ts";
import type { WebhookOptions } from "../adapters/kubernetes/webhook-server.ts";
import type { AdmissionResult } from "../adapters/telemetry/injector-metrics.ts";
import type { Namespace, Owner } from "../core/inject/pod.ts";
import type { InjectionConfig } from "../core/inject/profile.ts";
import { rule, type Ruling } from "../core/inject/ruling.ts";
import type { Clock } from "../ports/clock.ts";
import type { Log } from "../ports/log.ts";

export interface AdmissionOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly namespaces: Pick<Watched<Namespace>, "copy" | "next">;
  readonly config: () => InjectionConfig;
  readonly admitted: (result: AdmissionResult, reason: string, seconds: number) => void;
  /** A pod goes without a sidecar. Not called for a dry run. */
  readonly skipped: (about: Owner, namespace: string, message: string) => void;
}

/**
 * A pod may be created the moment after its namespace, and be here before the news of that. The API server waits
 * for at most the webhook's timeout, 3 s.
 */
const NEWS_MS = 1_500;

export function createAdmission(options: AdmissionOptions): WebhookOptions {
  const { clock, log, namespaces } = options;

  async function find(name: string): Promise<Namespace> {
    const until = clock.mono() + NEWS_MS;
    for (;;) {
      const found = namespaces.copy()?.get(name);
      if (found !== undefined) return found;
      const left = until - clock.mono();
      if (left <= 0) throw new Error(`namespace ${name} is not known`);
      await newsOr(clock, left, namespaces.next());
    }
  }

  return {
    async review(body) {
      const start = clock.mono();
      const request = readReview(body);
      const ruling = rule(request.pod, await find(request.namespace), options.config());
      const [result, reason] = resultOf(ruling);
      options.admitted(result, reason, (clock.mono() - start) / 1_000);
      tell(request, ruling);
      return writeReview(request.uid, ruling);
    },
    isMalformed: (error) => error instanceof ZodError || error instanceof SyntaxError,
    onFailure(error) {
      options.admitted("failed", "", 0);
      log.error({ err: error }, "a review failed");
    },
  };

  function tell(request: AdmissionRequest, ruling: Ruling): void {
    const { namespace, pod, isDryRun } = request;
    const about = pod.owner ?? ownerOf(request);
    const fields = { namespace, pod: about.name, owner: about.kind, dryRun: isDryRun };
    switch (ruling.kind) {
      case "skipped":
        log.warn({ ...fields, reason: ruling.reason }, ruling.message);
        if (!isDryRun) options.skipped(about, namespace, ruling.message);
        break;
      case "refused":
        log.warn({ ...fields, problems: ruling.problems }, "a pod was refused");
        break;
      case "injected":
        log.debug({ ...fields, operations: ruling.patch.length }, "a pod was looked at");
        break;
      case "ignored":
        log.debug(fields, "a pod did not opt in");
        break;
    }
  }
}

const resultOf = (ruling: Ruling): readonly [AdmissionResult, string] => {
  switch (ruling.kind) {
    case "ignored":
      return ["ignored", ""];
    case "skipped":
    case "refused":
      return [ruling.kind, ruling.reason];
    case "injected":
      return [ruling.patch.length === 0 ? "unchanged" : "injected", ""];
  }
};

/** A pod that nobody made but a person. It has no identity yet. */
const ownerOf = ({ pod, name }: AdmissionRequest): Owner => ({
  apiVersion: "v1",
  kind: "Pod",
  name: name || pod.name || `${pod.generateName}…`,
  uid: "",
});
