/** From the API server's JSON to what injection reads. A pod that does not have a pod's shape is nobody's pod. */
import { z } from "zod";
import type { Container, Json, JsonMembers, Namespace, Pod } from "../../core/inject/pod.ts";

const texts = z
  .record(z.string(), z.string())
  .nullish()
  .transform((members) => (members ? new Map(Object.entries(members)) : undefined));

const Metadata = z.object({
  name: z.string().nullish(),
  generateName: z.string().nullish(),
  labels: texts,
  annotations: texts,
  ownerReferences: z
    .array(
      z.object({
        apiVersion: z.string(),
        kind: z.string(),
        name: z.string(),
        uid: z.string(),
        controller: z.boolean().nullish(),
      }),
    )
    .nullish(),
});

const Port = z.looseObject({ containerPort: z.number(), protocol: z.string().nullish() });
const Mount = z.looseObject({
  name: z.string(),
  mountPath: z.string(),
  readOnly: z.boolean().nullish(),
});
const ContainerShape = z
  .looseObject({
    name: z.string(),
    image: z.string().nullish(),
    env: z.array(z.looseObject({ name: z.string(), value: z.string().nullish() })).nullish(),
    volumeMounts: z.array(Mount).nullish(),
    ports: z.array(Port).nullish(),
  })
  .transform((whole): Container => ({
    name: whole.name,
    image: whole.image ?? "",
    env: whole.env?.map(({ name, value }) => ({ name, value: value ?? undefined })),
    volumeMounts: whole.volumeMounts?.map(({ name, mountPath, readOnly }) => ({
      ...{ name, mountPath, readOnly: readOnly ?? false },
    })),
    ports: (whole.ports ?? [])
      .filter(({ protocol }) => (protocol ?? "TCP") === "TCP")
      .map(({ containerPort }) => containerPort),
    // It was JSON a moment ago.
    whole: whole as JsonMembers,
  }));

const PodShape = z.object({
  metadata: Metadata.nullish(),
  spec: z.object({
    hostNetwork: z.boolean().nullish(),
    os: z.object({ name: z.string() }).nullish(),
    nodeSelector: texts,
    restartPolicy: z.string().nullish(),
    terminationGracePeriodSeconds: z.number().int().nullish(),
    containers: z.array(ContainerShape).min(1),
    initContainers: z.array(ContainerShape).nullish(),
    volumes: z.array(z.looseObject({ name: z.string() })).nullish(),
  }),
});

const OS_LABEL = "kubernetes.io/os";
/** What the API server fills in. */
const DEFAULT_GRACE_SECONDS = 30;

/** @throws ZodError */
export function readPod(object: unknown): Pod {
  const { metadata, spec } = PodShape.parse(object);
  const owner = metadata?.ownerReferences?.find(({ controller }) => controller === true);
  return {
    name: metadata?.name ?? "",
    generateName: metadata?.generateName ?? "",
    labels: metadata?.labels,
    annotations: metadata?.annotations,
    owner,
    hostNetwork: spec.hostNetwork ?? false,
    os: spec.os?.name ?? spec.nodeSelector?.get(OS_LABEL) ?? "",
    isToEnd: (spec.restartPolicy ?? "Always") !== "Always",
    graceSeconds: spec.terminationGracePeriodSeconds ?? DEFAULT_GRACE_SECONDS,
    containers: spec.containers,
    initContainers: spec.initContainers ?? undefined,
    // It was JSON a moment ago.
    volumes: spec.volumes
      ? new Map(spec.volumes.map((volume) => [volume.name, volume as Json]))
      : undefined,
  };
}

const NamespaceShape = z.object({
  metadata: z.object({ name: z.string(), labels: texts, annotations: texts }),
});

export function readNamespace(object: unknown): Namespace | undefined {
  const shape = NamespaceShape.safeParse(object);
  return shape.success ? shape.data.metadata : undefined;
}
