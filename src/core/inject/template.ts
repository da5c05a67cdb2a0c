/**
 * What is put into a pod, written once for the webhook, the manifest and the policy. The first two know what a
 * pod asks for and fill it in; the policy cannot, and holds expressions in those places that the API server
 * works out for each pod.
 */
import { assert } from "../assert.ts";
import { bytesOf, heapMebibytes } from "./memory.ts";
import {
  HEALTH_PORT,
  HTTP_PORT,
  PATH,
  SIDECAR,
  SOCKET,
  SOCKET_URI,
  SOCKET_VARIABLE,
  VOLUME,
} from "./name.ts";
import type { Json } from "./pod.ts";
import type { InjectionConfig, Mode, Profile, Resources } from "./profile.ts";

/** An expression of the API server's own language (CEL), of type string. */
export interface Expression {
  readonly cel: string;
}

export type Text = string | Expression;

export type Template =
  | null
  | boolean
  | number
  | Text
  | readonly Template[]
  | { readonly [key: string]: Template };

/** What differs from pod to pod. */
export interface Slots {
  readonly tenant: Text;
  readonly logLevel: Text;
  readonly memoryLimit: string;
  readonly mode: Mode;
  /** How long the pod has to end, s. */
  readonly graceSeconds: number;
}

export const isExpression = (template: Template): template is Expression =>
  typeof template === "object" && template !== null && "cel" in template;

const joined = (start: string, text: Text): Text =>
  isExpression(text) ? { cel: `${JSON.stringify(start)} + ${text.cel}` } : start + text;

/** The template as it stands in a pod. Nothing may be left for the API server to work out. */
export function filled(template: Template): Json {
  assert(!isExpression(template), "a pod has no expressions");
  if (typeof template !== "object" || template === null) return template;
  if (isList(template)) return template.map(filled);
  return Object.fromEntries(Object.entries(template).map(([key, part]) => [key, filled(part)]));
}

const isList = (template: Template): template is readonly Template[] => Array.isArray(template);

/** Kept for the sidecar to flush and to give its leases back, once the app had its time, s. */
const CLOSING_SECONDS = 4;

export function sidecarContainer(
  config: InjectionConfig,
  profile: Profile,
  slots: Slots,
): Template {
  const isNative = slots.mode === "native";
  const { image } = config;
  const service = "imprest.v1.QuotaService";
  return {
    name: SIDECAR,
    image: image.reference,
    imagePullPolicy: image.pullPolicy,
    ...(isNative ? { restartPolicy: "Always" } : {}),
    args: sidecarArguments(profile, slots),
    env: [
      {
        name: "POD_NAME",
        valueFrom: { fieldRef: { apiVersion: "v1", fieldPath: "metadata.name" } },
      },
      { name: "NODE_OPTIONS", value: `--max-old-space-size=${heapOf(slots.memoryLimit)}` },
    ],
    ports: [
      { name: "imprest-health", containerPort: HEALTH_PORT, protocol: "TCP" },
      { name: "imprest-http", containerPort: HTTP_PORT, protocol: "TCP" },
    ],
    // None of them asks whether the store answers: a Redis that is down must not take the agents with it.
    startupProbe: { grpc: { port: HEALTH_PORT, service }, periodSeconds: 1, failureThreshold: 60 },
    readinessProbe: { grpc: { port: HEALTH_PORT, service }, periodSeconds: 5, failureThreshold: 3 },
    livenessProbe: {
      httpGet: { path: "/livez", port: HTTP_PORT },
      periodSeconds: 10,
      timeoutSeconds: 2,
      failureThreshold: 6,
    },
    ...(isNative || slots.graceSeconds === 0
      ? {}
      : { lifecycle: { preStop: { sleep: { seconds: lingering(slots) } } } }),
    resources: resourcesOf(profile.resources, slots.memoryLimit),
    securityContext: {
      runAsNonRoot: true,
      ...(profile.runAsUser === null
        ? {}
        : { runAsUser: profile.runAsUser, runAsGroup: profile.runAsUser }),
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ["ALL"] },
      seccompProfile: { type: "RuntimeDefault" },
    },
    terminationMessagePolicy: "FallbackToLogsOnError",
    volumeMounts: [
      { name: VOLUME.socket, mountPath: PATH.socket },
      { name: VOLUME.journal, mountPath: PATH.journal },
      ...readOnlyVolumes(profile).map(({ name, path }) => ({
        name,
        mountPath: path,
        readOnly: true,
      })),
      // Where the API server would otherwise put a token for itself, with which the sidecar has nothing to do.
      { name: VOLUME.token, mountPath: PATH.apiToken, readOnly: true },
    ],
  };
}

/** Flags of `imprest sidecar`. The tenant comes last of all: of a flag that is given twice the last one holds. */
function sidecarArguments(profile: Profile, slots: Slots): readonly Text[] {
  const { storePasswordSecret: password } = profile;
  return [
    "sidecar",
    `--policy=${PATH.policy}/policy.yaml`,
    `--listen=${SOCKET}`,
    `--store=${profile.store}`,
    ...(password === undefined ? [] : [`--store-password-file=${PATH.store}/${password.key}`]),
    ...(profile.storeConfirm === undefined ? [] : [`--confirm=${profile.storeConfirm}`]),
    ...(profile.storeFencing === undefined ? [] : [`--store-fencing=${profile.storeFencing}`]),
    `--journal=${PATH.journal}`,
    joined("--log-level=", slots.logLevel),
    ...profile.args,
    joined("--tenant=", slots.tenant),
  ];
}

/**
 * A native sidecar is stopped after the app, so nothing keeps it (a preStop hook would run at the *start* of the
 * pod's end). An ordinary container is stopped together with the app: it waits out the pod's time instead. A pod
 * without any is killed at once, and the API server takes no sleep that is longer than the pod's time.
 */
const lingering = ({ graceSeconds }: Slots): number => Math.max(1, graceSeconds - CLOSING_SECONDS);

const heapOf = (memoryLimit: string): number => heapMebibytes(bytesOf(memoryLimit) ?? 0);

/** Requests never exceed the limit, or the API server would refuse the pod. No limit of CPU is made up. */
function resourcesOf({ requests, limits }: Resources, memoryLimit: string): Template {
  const wanted = requests["memory"];
  const isTooMuch = wanted !== undefined && (bytesOf(wanted) ?? 0) > (bytesOf(memoryLimit) ?? 0);
  return {
    requests: isTooMuch ? { ...requests, memory: memoryLimit } : requests,
    limits: { ...limits, memory: memoryLimit },
  };
}

interface Placed {
  readonly name: string;
  readonly path: string;
  readonly source: { readonly [key: string]: Template };
}

/** Of the sidecar alone. */
function readOnlyVolumes(profile: Profile): readonly Placed[] {
  const { storePasswordSecret: password, storeTlsSecret: tls } = profile;
  const token = { audience: "imprest", expirationSeconds: 3600, path: "token" };
  return [
    {
      name: VOLUME.policy,
      path: PATH.policy,
      source: { configMap: { name: profile.policyConfigMap } },
    },
    {
      name: VOLUME.token,
      path: PATH.token,
      source: { projected: { sources: [{ serviceAccountToken: token }] } },
    },
    ...(password === undefined
      ? []
      : [
          {
            name: VOLUME.store,
            path: PATH.store,
            source: { secret: { secretName: password.name } },
          },
        ]),
    ...(tls === undefined
      ? []
      : [{ name: VOLUME.tls, path: PATH.tls, source: { secret: { secretName: tls.name } } }]),
  ];
}

export interface VolumeTemplate {
  readonly name: string;
  readonly [source: string]: Template;
}

/** In memory: a folder on disk would keep the cluster's autoscaler from moving the pod. */
export function sidecarVolumes(profile: Profile): readonly VolumeTemplate[] {
  return [
    { name: VOLUME.socket, emptyDir: { medium: "Memory", sizeLimit: "1Mi" } },
    { name: VOLUME.journal, emptyDir: { medium: "Memory", sizeLimit: "32Mi" } },
    ...readOnlyVolumes(profile).map(({ name, source }) => ({ name, ...source })),
  ];
}

/** In containers of the app: they may connect to the socket, not replace it. */
export const APP_MOUNT = { name: VOLUME.socket, mountPath: PATH.socket, readOnly: true } as const;
export const APP_VARIABLE = { name: SOCKET_VARIABLE, value: SOCKET_URI } as const;

export const statusOf = (
  version: string,
  slots: { readonly mode: Mode; readonly profile: string; readonly tenant: string },
): string =>
  JSON.stringify({ v: version, mode: slots.mode, profile: slots.profile, tenant: slots.tenant });
