/** A pod that is never made: the API server, asked to create it for a trial, says what would become of one. */
import { ApiError, type ApiClient } from "../../adapters/kubernetes/api-client.ts";
import { readPod } from "../../adapters/kubernetes/object.ts";
import { LABEL, SIDECAR } from "../../core/inject/name.ts";
import { sidecarOf } from "../../core/inject/patch.ts";
import { findingsAbout, type Finding } from "./finding.ts";

/** Fit for a namespace whose Pod Security is "restricted". */
const PROBE = {
  apiVersion: "v1",
  kind: "Pod",
  metadata: { generateName: "imprest-doctor-", labels: { [LABEL.inject]: "true" } },
  spec: {
    containers: [
      {
        name: "probe",
        image: "imprest-doctor/never-started",
        resources: { requests: { cpu: "1m", memory: "1Mi" }, limits: { memory: "16Mi" } },
        securityContext: {
          allowPrivilegeEscalation: false,
          capabilities: { drop: ["ALL"] },
          runAsNonRoot: true,
          runAsUser: 65_532,
          seccompProfile: { type: "RuntimeDefault" },
        },
      },
    ],
  },
};

export async function probePod(api: ApiClient, namespace: string): Promise<Finding> {
  const trial = findingsAbout("trial");
  try {
    const answer = await api.create(`/api/v1/namespaces/${namespace}/pods?dryRun=All`, PROBE);
    return sidecarOf(readPod(answer)) === undefined
      ? trial.problem(
          `a pod that asks for a sidecar in ${namespace} would start without one`,
          "the webhook is not called for it, or failurePolicy Ignore lets it through: see the injector's pods and caBundle",
        )
      : trial.ok(`a pod that asks for a sidecar in ${namespace} would get one`);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    return refusal(error, namespace);
  }
}

/** In the API server's words. */
function refusal({ message, status }: ApiError, namespace: string): Finding {
  const trial = findingsAbout("trial");
  const text = `a pod that asks for a sidecar in ${namespace} is refused: ${message}`;
  if (/x509|certificate/.test(message)) {
    return trial.problem(
      text,
      "the caBundle does not sign the injector's certificate: the injector writes it, see its log and its right to patch the webhook",
    );
  }
  if (/failed calling webhook/.test(message)) {
    return trial.problem(
      text,
      "the API server cannot call the injector: are its pods ready, does a NetworkPolicy or firewall stand between?",
    );
  }
  if (
    message.includes(SIDECAR) ||
    /imprest/.test(message.replace(PROBE.metadata.generateName, ""))
  ) {
    return trial.problem(text);
  }
  return status === 403 && /cannot create/.test(message)
    ? trial.unknown(
        `no pod could be tried in ${namespace}: pods may not be created there with these credentials`,
      )
    : trial.unknown(text);
}
