/**
 * The injector's certificates, kept alive in the cluster. Each replica follows the Secret and the webhook's
 * configuration; the one that leads also writes them.
 *
 *   KC1  The caBundle of every entry of the webhook is the injector's alone, and is put back when somebody wipes it.
 *   KC2  Every replica serves the certificate that the Secret holds, without a restart.
 *   KC3  A replica is in sync, and ready, only while the live caBundle trusts what it serves.
 */
import { z } from "zod";
import type { Json } from "../../core/inject/pod.ts";
import { bundleOf, nextStep, type Times } from "../../core/inject/rotation.ts";
import type { EpochMs } from "../../core/time.ts";
import type { Clock } from "../../ports/clock.ts";
import type { Log } from "../../ports/log.ts";
import { ApiError, type ApiClient } from "./api-client.ts";
import {
  bundlePem,
  NO_KEYS,
  readSecret,
  take,
  withKeys,
  type CertificateSecret,
  type Keys,
  type Leaf,
} from "./keyring.ts";
import { newsOr } from "./patience.ts";
import { watchCollection } from "./watched.ts";

export interface Certificates {
  /** The caBundle of every entry trusts what is served. */
  readonly isInSync: () => boolean;
  /** Why not, in one line. */
  problem(): string;
  /** When what is served ends; `undefined`: nothing is. */
  servedUntil(): EpochMs | undefined;
  /** To be called when leadership changes. */
  look(): void;
  stop(): void;
}

export interface CertificateOptions {
  readonly api: ApiClient;
  readonly clock: Clock;
  readonly log: Log;
  readonly namespace: string;
  readonly secret: string;
  readonly webhook: string;
  /** DNS names of the injector's service. */
  readonly names: readonly string[];
  readonly times: () => Times;
  readonly isLeader: () => boolean;
  readonly serve: (leaf: Leaf) => void;
}

const WebhookShape = z.object({
  webhooks: z
    .array(
      z.object({ name: z.string(), clientConfig: z.object({ caBundle: z.string().optional() }) }),
    )
    .default([]),
});
type Webhook = z.infer<typeof WebhookShape>;

/** Even if nothing is heard; more often where certificates live so briefly that they would end meanwhile. */
const LOOK_MS = 60_000;
const LOOKS_IN_A_LIFE = 20;
/** After a step that failed. */
const SOON_MS = 5_000;

export function keepCertificates(options: CertificateOptions): Certificates {
  const { api, clock, log, namespace, names } = options;
  const secrets = watchCollection({
    api,
    log,
    path: `/api/v1/namespaces/${namespace}/secrets`,
    fieldSelector: `metadata.name=${options.secret}`,
    read: (object) => readSecret(object, names),
  });
  const webhooks = watchCollection({
    api,
    log,
    path: "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations",
    fieldSelector: `metadata.name=${options.webhook}`,
    read: (object) => WebhookShape.safeParse(object).data,
  });
  /** The last keys that were usable: what a wiped Secret is made anew from. */
  let remembered: Keys = NO_KEYS;
  let served: Leaf | undefined;
  let failure = "";
  let isStopped = false;
  let wake = Promise.withResolvers<void>();

  const secret = (): CertificateSecret | undefined => secrets.copy()?.get(options.secret);
  const webhook = (): Webhook | undefined => webhooks.copy()?.get(options.webhook);
  const liveBundles = (): readonly string[] =>
    webhook()?.webhooks.map(({ clientConfig }) =>
      Buffer.from(clientConfig.caBundle ?? "", "base64").toString("utf8"),
    ) ?? [];
  const isBundleLive = (keys: Keys): boolean =>
    liveBundles().length > 0 && liveBundles().every((bundle) => bundle === bundlePem(keys));

  /** (KC2) */
  function serveNewest(): void {
    const { leaf } = secret()?.keys ?? NO_KEYS;
    if (leaf === undefined || leaf.cert === served?.cert) return;
    options.serve(leaf);
    served = leaf;
    log.info({ until: new Date(leaf.validUntil).toISOString() }, "serving a new certificate");
  }

  /** One step of the leader; false: nothing is to be done. */
  async function advance(): Promise<boolean> {
    if (secrets.copy() === undefined || webhooks.copy() === undefined) return false;
    const there = secret();
    if (there === undefined) throw new Error(gone);
    const times = options.times();
    const now = clock.wall();
    const circumstances = { isBundleLive: isBundleLive(there.keys), isAsked: there.isAsked };
    const step = nextStep(there.keys, circumstances, times, now);
    if (step === undefined) return trust(there.keys);
    const before = step === "found" ? remembered : there.keys;
    const keys = take(step, before, { names, times, now });
    const isFollowed = step === "prepare" || step === "found";
    await api.replace(secretPath(), withKeys(there, keys, isFollowed) as Json);
    log.info({ step, authorities: bundleOf(keys).length }, "certificates were rotated by a step");
    return true;
  }
  const secretPath = (): string => `/api/v1/namespaces/${namespace}/secrets/${options.secret}`;

  /** Not made here: a right to make Secrets cannot be limited to one name. */
  const isGone = (): boolean => secrets.copy() !== undefined && secret() === undefined;
  const gone = `there is no Secret ${options.secret} in namespace ${namespace}; make an empty one, which is filled at once: kubectl -n ${namespace} create secret generic ${options.secret}`;

  /** (KC1) Each entry is named in the patch, so that one that moved meanwhile is not mistaken for another. */
  async function trust(keys: Keys): Promise<boolean> {
    const entries = webhook()?.webhooks ?? [];
    if (entries.length === 0 || isBundleLive(keys)) return false;
    const caBundle = Buffer.from(bundlePem(keys)).toString("base64");
    const patch = entries.flatMap(({ name }, index) => [
      { op: "test", path: `/webhooks/${index}/name`, value: name },
      { op: "add", path: `/webhooks/${index}/clientConfig/caBundle`, value: caBundle },
    ]);
    const path = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations";
    await api.patch(`${path}/${options.webhook}`, "json", patch);
    log.info({ webhook: options.webhook, entries: entries.length }, "the caBundle was written");
    return true;
  }

  async function run(): Promise<void> {
    while (!isStopped) {
      const news = Promise.race([secrets.next(), webhooks.next(), wake.promise]);
      let pauseMs = LOOK_MS;
      try {
        serveNewest();
        const { keys = NO_KEYS } = secret() ?? {};
        if (keys.authority !== undefined) remembered = keys;
        // What was written comes back through the watch, and is looked at then.
        if (options.isLeader()) await advance();
        failure = "";
      } catch (error) {
        failure = error instanceof Error ? error.message : String(error);
        const isOutrun = error instanceof ApiError && error.status === 409;
        if (!isOutrun) log.error({ err: error }, "the certificates could not be kept");
        // What somebody has to do first is said once a minute.
        pauseMs = isGone() ? LOOK_MS : SOON_MS;
      }
      const { leafLifetimeMs, overlapMs } = options.times();
      const longest = Math.min(leafLifetimeMs / LOOKS_IN_A_LIFE, overlapMs);
      await newsOr(clock, Math.min(pauseMs, longest), news);
    }
  }
  void run();

  const isInSync = (): boolean => {
    // A Secret that is gone, or wiped, takes nothing away from what is served and trusted.
    const signer = secret()?.keys.authority ?? remembered.authority;
    if (served === undefined || signer === undefined || served.validUntil <= clock.wall())
      return false;
    const bundles = liveBundles();
    // What is served was signed by it; the Secret may be a moment ahead of what is served, but trusts it too.
    return bundles.length > 0 && bundles.every((bundle) => bundle.includes(signer.cert));
  };
  return {
    isInSync,
    problem() {
      if (isInSync()) return "";
      if (isGone()) return gone;
      if (failure !== "") return failure;
      if (served === undefined)
        return `the Secret ${options.secret} holds no usable certificate yet`;
      if (webhook() === undefined)
        return `there is no MutatingWebhookConfiguration ${options.webhook}`;
      return `the caBundle of ${options.webhook} does not trust what is served`;
    },
    servedUntil: () => served?.validUntil,
    look() {
      const { resolve } = wake;
      wake = Promise.withResolvers<void>();
      resolve();
    },
    stop() {
      isStopped = true;
      secrets.stop();
      webhooks.stop();
      wake.resolve();
    },
  };
}
