/** From the API server's JSON to what injection reads. A pod that does not have a pod's shape is nobody's pod. */
import { z } from "zod";
import type { Container, Json, Namespace, Pod } from "../../core/inject/pod.ts";

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

const ContainerShape = z
  .object({
    name: z.string(),
    image: z.string().nullish(),
    args: z.array(z.string()).nullish(),
    env: z.array(z.object({ name: z.string(), value: z.string().nullish() })).nullish(),
    volumeMounts: z.array(z.object({ name: z.string(), mountPath: z.string() })).nullish(),
  })
  .transform(({ name, image, args, env, volumeMounts }): Container => ({
    name,
    image: image ?? "",
    args: args ?? [],
    env: env?.map((variable) => ({ name: variable.name, value: variable.value ?? undefined })),
    volumeMounts: volumeMounts ?? undefined,
  }));

const PodShape = z.object({
  metadata: Metadata.nullish(),
  spec: z.object({
    hostNetwork: z.boolean().nullish(),
    os: z.object({ name: z.string() }).nullish(),
    nodeSelector: texts,
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
