/** `imprest injector`: the admission webhook that gives pods their sidecar. */
import { LOG_LEVELS, ConfigurationError } from "../compose/sidecar-config.ts";
import { tcpAddress } from "./address.ts";
import { defineCommand, type Command } from "./command.ts";
import { defaulted, optional, required, type Values } from "./flag.ts";
import type { Host } from "./host.ts";
import { tellNotStarted, untilEnded } from "./lifetime.ts";
import { duration, oneOf, text } from "./reader.ts";
import { packageVersion } from "./version.ts";

const FLAGS = {
  config: required(
    "FILE",
    "Image, profiles and names, YAML or JSON (kind: Injector). A valid edit is applied, a broken one is not.",
    text,
  ),
  listen: defaulted("HOST:PORT", "0.0.0.0:8443", "HTTPS for the API server: /mutate.", tcpAddress),
  http: defaulted("HOST:PORT", "0.0.0.0:4602", "/livez, /readyz, /metrics.", tcpAddress),
  kubeconfig: optional(
    "FILE",
    "How to reach the API server. Default: as a pod does, with its service account.",
    text,
  ),
  "drain-linger": defaulted(
    "DURATION",
    "5s",
    "After a signal, how long it goes on answering until every API server knows that it is gone.",
    duration(0, 600_000),
  ),
  "log-level": defaulted("LEVEL", "info", `One of ${LOG_LEVELS.join(", ")}.`, oneOf(...LOG_LEVELS)),
} as const;

async function serve(host: Host, values: Values<typeof FLAGS>): Promise<number> {
  const stop = host.stopSignal();
  const { createInjector } = await import("../compose/injector.ts");
  const { createLog } = await import("../adapters/log/pino.ts");
  const kube = await import("../adapters/kubernetes/kube-config.ts");
  const identity = host.env["POD_NAME"] ?? "";
  const log = createLog({ level: values["log-level"], holder: identity || "injector" });
  const refuse = (problems: readonly string[]): number => {
    tellNotStarted(host, "injector", problems);
    return 2;
  };
  const ended = untilEnded(host, stop, log);
  try {
    const { kubeconfig } = values;
    const access = await (kubeconfig === undefined
      ? kube.accessInPod(host.env)
      : kube.accessFromFile(kubeconfig));
    const injector = createInjector({
      version: packageVersion(host.root),
      config: values.config,
      listen: values.listen,
      http: values.http,
      access,
      identity,
      lingerMs: values["drain-linger"],
      log,
    });
    await injector.start();
    const status = await ended;
    await injector.drain();
    return status;
  } catch (error) {
    if (error instanceof ConfigurationError) return refuse(error.problems);
    if (error instanceof kube.AccessError) return refuse([error.message]);
    throw error;
  }
}

export const injector: Command = defineCommand({
  name: "injector",
  about:
    "The admission webhook: gives each pod that opts in by its label, or its namespace's, a sidecar that serves its tenant alone. Makes its own certificates and keeps the webhook's caBundle.",
  flags: FLAGS,
  exits: {
    0: "drained after SIGTERM or SIGINT",
    1: "anything else, a defect included",
    2: "a configuration error, or no way to reach the API server is known",
  },
  examples: [
    {
      line: "imprest injector --config /etc/imprest-injector/injector.yaml",
      says: "In a pod, as the Helm chart runs it.",
    },
    {
      line: "imprest injector --config injector.yaml --kubeconfig ~/.kube/config",
      says: "From outside, against a cluster that can reach this machine.",
    },
  ],
  run: (host, { values }) => serve(host, values),
});
