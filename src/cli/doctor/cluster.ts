/** Looks at a cluster through its API server: what cannot be read is said, and the rest is looked at all the same. */
import { z } from "zod";
import { ApiError, type ApiClient } from "../../adapters/kubernetes/api-client.ts";
import { readNamespace } from "../../adapters/kubernetes/object.ts";
import { LABEL } from "../../core/inject/name.ts";
import { sidecarOf } from "../../core/inject/patch.ts";
import type { Namespace } from "../../core/inject/pod.ts";
import { clockFinding } from "./clock.ts";
import { findingsAbout, type Finding } from "./finding.ts";
import { lookAtInjector } from "./injector.ts";
import { podFindings, readLivePod, type LivePod } from "./pods.ts";
import { probePod } from "./probe-pod.ts";
import { listAll, reading } from "./reading.ts";
import { sidecarFindings, type Ask } from "./sidecar.ts";
import type { Handshake } from "./webhook.ts";

export interface ClusterOptions {
  /** Of the Deployment and the webhook. */
  readonly injector: { readonly namespace: string; readonly name: string };
  /** The one namespace whose pods are looked at; "": all. */
  readonly namespace: string;
  readonly version: string;
  /** Where services can be reached from here. */
  readonly handshake: Handshake | undefined;
  readonly askPod: (pod: LivePod) => Ask;
  readonly now: () => number;
}

/** Asked for what they say of themselves; more would say the same. */
const SIDECARS_ASKED = 20;

export async function clusterFindings(
  api: ApiClient,
  options: ClusterOptions,
): Promise<readonly Finding[]> {
  const server = await serverFindings(api, options.now);
  if (!Array.isArray(server)) return [server];
  const namespaces = await reading("namespaces", () => listNamespaces(api));
  const injector = await lookAtInjector(api, options);
  const pods = await reading("pods", () => listPods(api, options.namespace));
  const known = "finding" in namespaces ? new Map<string, Namespace>() : namespaces.value;
  const findings = [...server, ...injector.findings];
  if ("finding" in namespaces) findings.push(namespaces.finding);
  if (injector.isThere && options.handshake === undefined) {
    findings.push(await trial(api, known, options.namespace));
  }
  if ("finding" in pods) return [...findings, pods.finding];
  findings.push(...podFindings(pods.value, { namespaces: known, image: injector.image }));
  return [...findings, ...(await askSidecars(pods.value, options))];
}

const Review = z.object({ metadata: z.object({ creationTimestamp: z.iso.datetime() }) });
const Version = z.object({ major: z.string(), minor: z.string(), gitVersion: z.string() });
/** Native sidecars are on from here. */
const MINOR_LEAST = 29;

/** One finding alone: it cannot be asked anything. */
async function serverFindings(api: ApiClient, now: () => number): Promise<Finding | Finding[]> {
  const cluster = findingsAbout("cluster");
  try {
    const sent = now();
    const review = Review.parse(
      await api.create("/apis/authentication.k8s.io/v1/selfsubjectreviews", {
        apiVersion: "authentication.k8s.io/v1",
        kind: "SelfSubjectReview",
      }),
    );
    const received = now();
    const theirs = Date.parse(review.metadata.creationTimestamp);
    const clock = { whose: "the API server", theirs, sent, received, resolutionMs: 1_000 };
    const { minor, gitVersion } = Version.parse(await api.get("/version"));
    const isNew = Number.parseInt(minor, 10) >= MINOR_LEAST;
    const version = isNew
      ? cluster.ok(`Kubernetes ${gitVersion}`)
      : cluster.note(
          `Kubernetes ${gitVersion} has no native sidecars`,
          "sidecar.mode=classic, or Kubernetes 1.29 or newer",
        );
    return [version, clockFinding(clock)];
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    const advice =
      "see --kubeconfig; a login that runs a program: kubectl proxy, and a kubeconfig with its address";
    return cluster.problem(`the API server cannot be asked: ${error.message}`, advice);
  }
}

async function trial(
  api: ApiClient,
  namespaces: ReadonlyMap<string, Namespace>,
  wanted: string,
): Promise<Finding> {
  const enabled = [...namespaces.values()].filter(
    ({ labels }) => labels?.get(LABEL.injection) === "enabled",
  );
  const [first] = enabled;
  const namespace = wanted === "" ? first?.name : wanted;
  return namespace === undefined
    ? findingsAbout("trial").note(
        `no namespace has the label ${LABEL.injection}=enabled`,
        `kubectl label namespace NAMESPACE ${LABEL.injection}=enabled, or label pods ${LABEL.inject}=true`,
      )
    : probePod(api, namespace);
}

async function listNamespaces(api: ApiClient): Promise<ReadonlyMap<string, Namespace>> {
  const all = await listAll(api, "/api/v1/namespaces");
  const read = all.map(readNamespace).filter((one) => one !== undefined);
  return new Map(read.map((one) => [one.name, one]));
}

async function listPods(api: ApiClient, namespace: string): Promise<readonly LivePod[]> {
  const place = namespace === "" ? "" : `/namespaces/${namespace}`;
  const all = await listAll(api, `/api/v1${place}/pods`);
  return all.map(readLivePod).filter((pod) => pod !== undefined);
}

async function askSidecars(
  pods: readonly LivePod[],
  { askPod, version }: ClusterOptions,
): Promise<readonly Finding[]> {
  const running = pods
    .filter(({ pod, ip }) => sidecarOf(pod) !== undefined && ip !== "")
    .slice(0, SIDECARS_ASKED);
  const all = await Promise.all(
    running.map((pod) =>
      sidecarFindings(
        askPod(pod),
        { who: `${pod.namespace}/${pod.name}`, silence: "unknown" },
        version,
      ),
    ),
  );
  return all.flat().filter(({ severity }) => severity !== "ok");
}
