/** Pods of agents, as a user would write them, and the sidecar that a plain manifest adds to them by hand. */

export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: Metadata;
  readonly [field: string]: unknown;
}

export interface Metadata {
  readonly name: string;
  readonly namespace?: string;
  readonly uid?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
}

export interface Container {
  readonly name: string;
  readonly image: string;
  readonly [field: string]: unknown;
}

export interface PodSpec {
  readonly containers: readonly Container[];
  readonly initContainers?: readonly Container[];
  readonly [field: string]: unknown;
}

export interface ContainerStatus {
  readonly name: string;
  readonly ready: boolean;
  readonly started: boolean;
  readonly restartCount: number;
  readonly state: {
    readonly running?: { readonly startedAt: string };
    readonly terminated?: { readonly exitCode: number };
  };
}

export interface Pod extends Manifest {
  readonly spec: PodSpec;
  readonly status: {
    readonly phase: string;
    readonly podIP: string;
    readonly initContainerStatuses?: readonly ContainerStatus[];
    readonly containerStatuses: readonly ContainerStatus[];
  };
}

export interface AgentOptions {
  readonly tenant: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  /** Seconds between SIGTERM and the last call. */
  readonly linger?: number;
  /** On its node's own network. */
  readonly hostNetwork?: true;
  /** Holds, settles and ends. */
  readonly once?: true;
}

/** What the restricted Pod Security Standard asks of every container. */
const RESTRICTED = {
  allowPrivilegeEscalation: false,
  capabilities: { drop: ["ALL"] },
  runAsNonRoot: true,
  seccompProfile: { type: "RuntimeDefault" },
};

/** Another than the sidecar's, as in a pod of somebody else's image. */
export const AGENT_UID = 1000;

/** An agent that has never heard of Imprest but for the address in its environment. */
export function agentSpec({ tenant, linger = 0, hostNetwork, once }: AgentOptions): PodSpec {
  const probe = { httpGet: { path: "/", port: 8080 }, periodSeconds: 1 };
  return {
    terminationGracePeriodSeconds: 20,
    ...(hostNetwork === undefined ? {} : { hostNetwork }),
    ...(once === undefined ? {} : { restartPolicy: "Never" }),
    containers: [
      {
        name: "agent",
        image: "localhost/agent:e2e",
        env: [
          { name: "TENANT", value: tenant },
          { name: "LINGER", value: String(linger) },
        ],
        ...(once === undefined ? { readinessProbe: probe } : { args: ["once"] }),
        securityContext: { ...RESTRICTED, runAsUser: AGENT_UID },
      },
    ],
  };
}

export const agentPod = (name: string, options: AgentOptions): Manifest => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name, ...metadataOf(name, options) },
  spec: agentSpec(options),
});

export function agentJob(name: string, options: AgentOptions): Manifest {
  const template = {
    metadata: metadataOf(name, options),
    spec: agentSpec({ ...options, once: true }),
  };
  const spec = { backoffLimit: 0, template };
  return { apiVersion: "batch/v1", kind: "Job", metadata: { name }, spec };
}

export function agentDeployment(name: string, replicas: number, options: AgentOptions): Manifest {
  const selector = { matchLabels: { app: name } };
  const template = { metadata: metadataOf(name, options), spec: agentSpec(options) };
  const spec = { replicas, selector, template };
  return { apiVersion: "apps/v1", kind: "Deployment", metadata: { name }, spec };
}

const metadataOf = (name: string, { labels, annotations = {} }: AgentOptions) => ({
  labels: { app: name, ...labels },
  annotations,
});

export const secret = (name: string, stringData: Readonly<Record<string, string>>): Manifest => ({
  apiVersion: "v1",
  kind: "Secret",
  metadata: { name },
  stringData,
});

export const configMap = (name: string, data: Readonly<Record<string, string>>): Manifest => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { name },
  data,
});
