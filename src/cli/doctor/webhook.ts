/** What the API server is told about the injector, and whether the two can speak with each other. */
import { X509Certificate } from "node:crypto";
import { connect } from "node:tls";
import { z } from "zod";
import { findingsAbout, type Finding } from "./finding.ts";

const Entry = z.object({
  name: z.string(),
  failurePolicy: z.string().optional(),
  clientConfig: z.object({
    caBundle: z.string().optional(),
    service: z
      .object({ name: z.string(), namespace: z.string(), port: z.number().optional() })
      .optional(),
  }),
});
const Configuration = z.object({
  metadata: z.object({ name: z.string() }),
  webhooks: z.array(Entry).default([]),
});
export type WebhookEntry = z.infer<typeof Entry>;

export function readWebhooks(object: unknown): readonly WebhookEntry[] | undefined {
  return Configuration.safeParse(object).data?.webhooks;
}

const OWNER_ADVICE =
  "the injector writes it: look at its log, at its right to patch this object, and let GitOps tools ignore .webhooks[].clientConfig.caBundle";

/** `now`: epoch milliseconds. */
export function webhookFindings(entries: readonly WebhookEntry[], now: number): readonly Finding[] {
  const webhook = findingsAbout("webhook");
  if (entries.length === 0) {
    return [webhook.problem("it has no entries, so that no pod is injected", "helm upgrade")];
  }
  const findings = entries.flatMap(({ name, clientConfig }) => {
    const trouble = bundleTrouble(clientConfig.caBundle ?? "", now);
    return trouble === "" ? [] : [webhook.problem(`${name}: ${trouble}`, OWNER_ADVICE)];
  });
  const open = entries.filter(({ failurePolicy }) => failurePolicy === "Ignore");
  return [
    ...(findings.length > 0 ? findings : [webhook.ok("its caBundle holds valid certificates")]),
    ...(open.length === 0
      ? []
      : [
          webhook.note(
            "failurePolicy is Ignore: while no injector answers pods start without a sidecar",
            "injector.failurePolicy=Fail, or the chart's backstop",
          ),
        ]),
  ];
}

/** "": it will do. */
function bundleTrouble(base64: string, now: number): string {
  const text = Buffer.from(base64, "base64").toString("utf8");
  const blocks = text.match(/-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g) ?? [];
  if (blocks.length === 0) return "it has no caBundle, so that the API server trusts no injector";
  try {
    const ends = blocks.map((block) => new X509Certificate(block).validToDate.getTime());
    return ends.every((end) => end <= now) ? "every certificate in its caBundle has ended" : "";
  } catch {
    return "its caBundle holds no certificate that can be read";
  }
}

/** The answer of a TLS handshake: "" where `ca` signs what the injector shows for `name`. */
export type Handshake = (target: {
  /** An address, or the name again. */
  readonly host: string;
  readonly port: number;
  readonly name: string;
  readonly ca: string;
}) => Promise<{ readonly isReached: boolean; readonly error: string }>;

const PATIENCE_MS = 5_000;

/** From inside the cluster, as the API server does it. */
export const shakeHands: Handshake = ({ host, port, name, ca }) =>
  new Promise((resolve) => {
    const socket = connect({ host, port, ca, servername: name, rejectUnauthorized: false }, () => {
      const error = socket.authorized ? "" : String(socket.authorizationError);
      socket.destroy();
      resolve({ isReached: true, error });
    });
    socket.setTimeout(PATIENCE_MS, () => socket.destroy(new Error("no answer")));
    socket.on("error", (error: Error) => resolve({ isReached: false, error: error.message }));
  });

/** `addressOf`: of a service; the API server looks it up without DNS, and so do we. "": unknown. */
export async function handshakeFinding(
  entries: readonly WebhookEntry[],
  shake: Handshake,
  addressOf: (namespace: string, service: string) => Promise<string>,
): Promise<Finding | undefined> {
  const { service, caBundle = "" } = entries[0]?.clientConfig ?? {};
  if (service === undefined || caBundle === "") return undefined;
  const name = `${service.name}.${service.namespace}.svc`;
  const ca = Buffer.from(caBundle, "base64").toString("utf8");
  const host = (await addressOf(service.namespace, service.name)) || name;
  const { isReached, error } = await shake({ host, port: service.port ?? 443, name, ca });
  const webhook = findingsAbout("webhook");
  if (!isReached) {
    return webhook.problem(
      `no injector answers at ${name}: ${error}`,
      "are its pods ready, does the cluster's DNS answer, does a NetworkPolicy stand between?",
    );
  }
  return error === ""
    ? webhook.ok(`the injector at ${name} shows a certificate that the caBundle signs`)
    : webhook.problem(
        `the injector at ${name} shows a certificate that the caBundle does not sign: ${error}`,
        OWNER_ADVICE,
      );
}
