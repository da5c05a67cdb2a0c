/** Names that pods and namespaces carry, the same for the webhook, the policy and the manifest. */

const DOMAIN = "imprest.dev/";

export const OURS = DOMAIN;

export const LABEL = {
  /** On a namespace: enabled, disabled. */
  injection: `${DOMAIN}injection`,
  /** On a pod: "true", "false"; it beats the namespace's. */
  inject: `${DOMAIN}inject`,
  /** On a pod that has a sidecar; the injector's own. */
  injected: `${DOMAIN}injected`,
  /** On a namespace: whose it is. On a pod: which of its namespace's tenants it works for. */
  tenant: `${DOMAIN}tenant`,
} as const;

export const ANNOTATION = {
  profile: `${DOMAIN}profile`,
  containers: `${DOMAIN}containers`,
  mode: `${DOMAIN}mode`,
  memoryLimit: `${DOMAIN}memory-limit`,
  logLevel: `${DOMAIN}log-level`,
  allowJob: `${DOMAIN}allow-job`,
  /** What was done; the injector's own. */
  status: `${DOMAIN}status`,
  /** On a namespace: further tenants that its pods may work for. */
  tenants: `${DOMAIN}tenants`,
} as const;

export const SIDECAR = "imprest-sidecar";

export const VOLUME = {
  socket: "imprest-socket",
  journal: "imprest-journal",
  policy: "imprest-policy",
  token: "imprest-token",
  store: "imprest-store",
  tls: "imprest-tls",
} as const;

export const PATH = {
  socket: "/run/imprest",
  journal: "/var/lib/imprest",
  policy: "/etc/imprest",
  token: "/var/run/secrets/imprest",
  store: "/var/run/secrets/imprest-store",
  tls: "/etc/imprest-tls",
  apiToken: "/var/run/secrets/kubernetes.io/serviceaccount",
} as const;

/** In app containers: where the sidecar answers. */
export const SOCKET_VARIABLE = "IMPREST_SOCKET";
export const SOCKET = `unix:${PATH.socket}/imprest.sock`;
export const SOCKET_URI = `unix://${PATH.socket}/imprest.sock`;

export const HEALTH_PORT = 4601;
export const HTTP_PORT = 4602;
