/** Which pods should have a sidecar, have none, or have one that is not well. */
import { z } from "zod";
import { readPod } from "../../adapters/kubernetes/object.ts";
import { LABEL, SIDECAR } from "../../core/inject/name.ts";
import { sidecarOf } from "../../core/inject/patch.ts";
import type { Namespace, Pod } from "../../core/inject/pod.ts";
import { findingsAbout, some, type Finding } from "./finding.ts";

const ContainerStatus = z.object({
  name: z.string(),
  restartCount: z.number().default(0),
  state: z.object({ waiting: z.object({ reason: z.string().optional() }).optional() }).optional(),
  lastState: z
    .object({ terminated: z.object({ reason: z.string().optional() }).optional() })
    .optional(),
});
const Seen = z.object({
  metadata: z.object({
    name: z.string(),
    namespace: z.string(),
    deletionTimestamp: z.string().optional(),
  }),
  status: z
    .object({
      phase: z.string().optional(),
      podIP: z.string().optional(),
      initContainerStatuses: z.array(ContainerStatus).optional(),
      containerStatuses: z.array(ContainerStatus).optional(),
    })
    .optional(),
});

/** A pod that is there, or is meant to be. */
export interface LivePod {
  readonly name: string;
  readonly namespace: string;
  readonly pod: Pod;
  /** "": it has none yet. */
  readonly ip: string;
  /** Of its sidecar, as the kubelet tells it. */
  readonly status: z.infer<typeof ContainerStatus> | undefined;
}

/** undefined: it is over, or going. */
export function readLivePod(object: unknown): LivePod | undefined {
  const { metadata, status } = Seen.parse(object);
  const isOver = status?.phase === "Succeeded" || status?.phase === "Failed";
  if (isOver || metadata.deletionTimestamp !== undefined) return undefined;
  const statuses = [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])];
  return {
    name: metadata.name,
    namespace: metadata.namespace,
    pod: readPod(object),
    ip: status?.podIP ?? "",
    status: statuses.find(({ name }) => name === SIDECAR),
  };
}

const isOptedIn = ({ labels }: Pod, namespace: Namespace | undefined): boolean => {
  const choice = labels?.get(LABEL.inject);
  if (choice !== undefined) return choice !== "false";
  return namespace?.labels?.get(LABEL.injection) === "enabled";
};

/** Where no sidecar can be; the injector tells it in an Event. */
const isSkipped = ({ hostNetwork, os, annotations }: Pod): boolean =>
  hostNetwork || os === "windows" || annotations?.has("kubernetes.io/config.mirror") === true;

const RESTARTS = 3;

const nameOf = ({ namespace, name }: LivePod): string => `${namespace}/${name}`;

export interface Expectation {
  readonly namespaces: ReadonlyMap<string, Namespace>;
  /** The injector's own; "": unknown. */
  readonly image: string;
}

export function podFindings(
  all: readonly LivePod[],
  { namespaces, image }: Expectation,
): readonly Finding[] {
  const pods = findingsAbout("pods");
  const asked = all.filter(({ pod, namespace }) => isOptedIn(pod, namespaces.get(namespace)));
  const skipped = asked.filter(({ pod }) => isSkipped(pod));
  const bare = asked.filter(({ pod }) => !isSkipped(pod) && sidecarOf(pod) === undefined);
  const having = all.filter(({ pod }) => sidecarOf(pod) !== undefined);
  const behind = having.filter(({ pod }) => image !== "" && sidecarOf(pod)?.image !== image);
  const findings: Finding[] = [];
  const tell = (
    make: typeof pods.note,
    which: readonly LivePod[],
    what: string,
    advice: string,
  ) => {
    if (which.length > 0) {
      findings.push(make(`${which.length} ${what}: ${some(which.map(nameOf))}`, advice));
    }
  };
  tell(
    pods.problem,
    bare,
    "opted in and without a sidecar",
    "pods made before their label, or while no injector answered: kubectl rollout restart their Deployment",
  );
  tell(
    pods.note,
    skipped,
    "opted in that cannot have a sidecar (node's network, Windows, static)",
    `label them ${LABEL.inject}=false where that is meant`,
  );
  tell(
    pods.note,
    behind,
    `with a sidecar of another image than the injector's ${image}`,
    "kubectl rollout restart brings them up to date",
  );
  findings.push(...having.flatMap(unwell));
  const served = asked.length - skipped.length;
  if (bare.length === 0) {
    findings.unshift(
      pods.ok(served === 0 ? "none opted in" : `${served} opted in, each with its sidecar`),
    );
  }
  return findings;
}

function unwell(live: LivePod): readonly Finding[] {
  const pods = findingsAbout("pods");
  const { restartCount = 0, state, lastState } = live.status ?? {};
  const waiting = state?.waiting?.reason ?? "";
  const ended = lastState?.terminated?.reason ?? "";
  if (ended === "OOMKilled") {
    const advice = "sidecar.resources.limits.memory, or annotation imprest.dev/memory-limit";
    return [pods.problem(`${nameOf(live)}: its sidecar ran out of memory`, advice)];
  }
  if (waiting !== "" && waiting !== "PodInitializing" && waiting !== "ContainerCreating") {
    const advice = `kubectl -n ${live.namespace} logs ${live.name} -c ${SIDECAR} --previous`;
    return [pods.problem(`${nameOf(live)}: its sidecar does not start (${waiting})`, advice)];
  }
  if (restartCount >= RESTARTS) {
    const advice = `kubectl -n ${live.namespace} logs ${live.name} -c ${SIDECAR} --previous`;
    return [
      pods.problem(`${nameOf(live)}: its sidecar started ${restartCount} times anew`, advice),
    ];
  }
  return [];
}
