/** Who gives pods their sidecar: the injector behind its webhook, or the API server by a policy. */
import { z } from "zod";
import type { ApiClient } from "../../adapters/kubernetes/api-client.ts";
import { findingsAbout, type Finding } from "./finding.ts";
import { listAll, reading } from "./reading.ts";
import { handshakeFinding, readWebhooks, webhookFindings, type Handshake } from "./webhook.ts";

export interface InjectorLook {
  readonly findings: readonly Finding[];
  /** There is somebody whom a pod can be tried on. */
  readonly isThere: boolean;
  /** Of the injector; "": unknown. */
  readonly image: string;
}

export interface InjectorOptions {
  readonly injector: { readonly namespace: string; readonly name: string };
  readonly handshake: Handshake | undefined;
  readonly now: () => number;
}

const ADMISSION = "/apis/admissionregistration.k8s.io/v1";

export async function lookAtInjector(
  api: ApiClient,
  options: InjectorOptions,
): Promise<InjectorLook> {
  const { name } = options.injector;
  const path = `${ADMISSION}/mutatingwebhookconfigurations/${name}`;
  const webhook = await reading("webhook", async () => readWebhooks(await api.get(path)));
  if ("finding" in webhook) {
    if (webhook.isMissing) return lookForPolicy(api, options.injector);
    return { findings: [webhook.finding], isThere: false, image: "" };
  }
  const deployment = await lookAtDeployment(api, options.injector);
  const entries = webhook.value ?? [];
  const addressOf = (space: string, service: string) => clusterAddress(api, space, service);
  const shaken =
    options.handshake && (await handshakeFinding(entries, options.handshake, addressOf));
  return {
    findings: [
      deployment.finding,
      ...webhookFindings(entries, options.now()),
      ...(shaken === undefined ? [] : [shaken]),
    ],
    isThere: entries.length > 0,
    image: deployment.image,
  };
}

const Service = z.object({ spec: z.object({ clusterIP: z.string() }) });

async function clusterAddress(api: ApiClient, namespace: string, service: string): Promise<string> {
  const read = await reading("webhook", async () =>
    Service.parse(await api.get(`/api/v1/namespaces/${namespace}/services/${service}`)),
  );
  const address = "finding" in read ? "" : read.value.spec.clusterIP;
  return address === "None" ? "" : address;
}

const Named = z.object({ metadata: z.object({ name: z.string() }) });
/** As `imprest inject render --as policy` calls them. */
const POLICIES = "imprest-sidecar-";

async function lookForPolicy(
  api: ApiClient,
  injector: InjectorOptions["injector"],
): Promise<InjectorLook> {
  const policies = await reading("policy", () =>
    listAll(api, `${ADMISSION}/mutatingadmissionpolicies`),
  );
  const names = ("finding" in policies ? [] : policies.value)
    .map((object) => Named.parse(object).metadata.name)
    .filter((name) => name.startsWith(POLICIES));
  if (names.length > 0) {
    const text = `pods are injected without a webhook, by MutatingAdmissionPolicy ${names.join(", ")}`;
    return { findings: [findingsAbout("policy").ok(text)], isThere: true, image: "" };
  }
  const node = await lookAtNodes(api, injector);
  if (node !== undefined) return { ...node, isThere: false };
  const text = `there is no MutatingWebhookConfiguration ${injector.name}, no MutatingAdmissionPolicy ${POLICIES}… and no DaemonSet ${nodesOf(injector)}: no pod gets a sidecar`;
  const advice = "helm install, or --injector NAMESPACE/NAME where the release has another name";
  return { findings: [findingsAbout("webhook").problem(text, advice)], isThere: false, image: "" };
}

const DaemonSet = z.object({
  spec: z.object({
    template: z.object({
      spec: z.object({ containers: z.array(z.object({ image: z.string() })).min(1) }),
    }),
  }),
  status: z
    .object({ numberReady: z.number().default(0), desiredNumberScheduled: z.number().default(0) })
    .prefault({}),
});

/** The chart's name for it, beside the injector's. */
const nodesOf = ({ namespace, name }: InjectorOptions["injector"]): string =>
  `${namespace}/${name.replace(/-injector$/, "")}-node`;

/** Where pods have no sidecar, but their nodes do. `undefined`: there is none. */
async function lookAtNodes(
  api: ApiClient,
  injector: InjectorOptions["injector"],
): Promise<Pick<InjectorLook, "findings" | "image"> | undefined> {
  const [namespace = "", name = ""] = nodesOf(injector).split("/");
  const nodes = findingsAbout("nodes");
  const read = await reading("nodes", async () =>
    DaemonSet.parse(await api.get(`/apis/apps/v1/namespaces/${namespace}/daemonsets/${name}`)),
  );
  if ("finding" in read)
    return read.isMissing ? undefined : { findings: [read.finding], image: "" };
  const { spec, status } = read.value;
  const image = spec.template.spec.containers[0]?.image ?? "";
  const { numberReady, desiredNumberScheduled } = status;
  const text = `a sidecar on ${numberReady} of ${desiredNumberScheduled} nodes is ready, image ${image}`;
  const isWell = numberReady === desiredNumberScheduled && numberReady > 0;
  const advice = `kubectl -n ${namespace} describe daemonset ${name}; its pods' /readyz?verbose says what they wait for`;
  return { findings: [isWell ? nodes.ok(text) : nodes.problem(text, advice)], image };
}

const Deployment = z.object({
  spec: z.object({
    replicas: z.number().default(1),
    template: z.object({
      spec: z.object({ containers: z.array(z.object({ image: z.string() })).min(1) }),
    }),
  }),
  status: z.object({ readyReplicas: z.number().default(0) }).prefault({}),
});

async function lookAtDeployment(
  api: ApiClient,
  { namespace, name }: InjectorOptions["injector"],
): Promise<{ readonly finding: Finding; readonly image: string }> {
  const about = findingsAbout("injector");
  const deployment = await reading("injector", async () =>
    Deployment.parse(await api.get(`/apis/apps/v1/namespaces/${namespace}/deployments/${name}`)),
  );
  if ("finding" in deployment) {
    const text = `there is a webhook and no Deployment ${namespace}/${name} behind it`;
    const finding = deployment.isMissing ? about.problem(text, "helm upgrade") : deployment.finding;
    return { finding, image: "" };
  }
  const { spec, status } = deployment.value;
  const image = spec.template.spec.containers[0]?.image ?? "";
  const text = `${status.readyReplicas} of ${spec.replicas} ready in ${namespace}, image ${image}`;
  const advice = `kubectl -n ${namespace} describe pods; their /readyz?verbose says what they wait for`;
  const finding = status.readyReplicas > 0 ? about.ok(text) : about.problem(text, advice);
  return { finding, image };
}
