/** Manifests as files: YAML with one or more objects, some of which hold a pod or what pods are made from. */
import { dump, loadAll } from "js-yaml";
import type { Json, Owner } from "../../core/inject/pod.ts";

export interface PodPlace {
  /** Where in the object the pod is: [] for a pod itself. */
  readonly path: readonly string[];
  /** Whom such a pod will be made by. */
  readonly owner: Owner | undefined;
}

const JOB: Owner = { apiVersion: "batch/v1", kind: "Job", name: "", uid: "" };
const TEMPLATE = ["spec", "template"];
const PLACES = new Map<string, PodPlace>([
  ["Pod", { path: [], owner: undefined }],
  ...["Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "ReplicationController"].map(
    (kind): [string, PodPlace] => [kind, { path: TEMPLATE, owner: undefined }],
  ),
  ["Job", { path: TEMPLATE, owner: JOB }],
  ["CronJob", { path: ["spec", "jobTemplate", ...TEMPLATE], owner: JOB }],
]);

/** @throws YAMLException */
export const readManifests = (text: string): readonly Json[] =>
  // Values of YAML's JSON schema, as Kubernetes reads them.
  (loadAll(text) as readonly Json[]).filter((object) => object !== null).flatMap(itemsOf);

/** Of a List, as `kubectl get -o yaml` prints it, what it lists. */
function itemsOf(object: Json): readonly Json[] {
  const items = at(object, ["items"]);
  return textAt(object, ["kind"]) === "List" && Array.isArray(items) ? (items as Json[]) : [object];
}

export const writeManifests = (objects: readonly Json[]): string =>
  objects.map((object) => dump(object, { lineWidth: -1, noRefs: true })).join("---\n");

/** `undefined`: no pods come of an object like this. */
export const podPlaceOf = (object: Json): PodPlace | undefined =>
  PLACES.get(textAt(object, ["kind"]));

/** "" where there is none. */
export function textAt(object: Json, path: readonly string[]): string {
  const text = at(object, path);
  return typeof text === "string" ? text : "";
}

export function at(object: Json, path: readonly string[]): Json | undefined {
  return path.reduce<Json | undefined>(
    (part, key) =>
      typeof part === "object" && part !== null
        ? new Map<string, Json>(Object.entries(part)).get(key)
        : undefined,
    object,
  );
}
