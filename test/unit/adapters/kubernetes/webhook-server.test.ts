import { Agent, request } from "node:https";
import { text as readAll } from "node:stream/consumers";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { issueAuthority, issueLeaf } from "../../../../src/adapters/kubernetes/certificate.ts";
import {
  createWebhookServer,
  type WebhookServer,
} from "../../../../src/adapters/kubernetes/webhook-server.ts";
import { createAdmission } from "../../../../src/compose/admission.ts";
import type { Namespace, Owner } from "../../../../src/core/inject/pod.ts";
import { createManualClock } from "../../../support/manual-clock.ts";
import { eventually } from "../../../support/eventually.ts";
import { applied, configOf, namespaceOf, podJson, type JsonObject } from "../../../support/pods.ts";
import { SILENT } from "../../../support/silence.ts";

const NAME = "injector.system.svc";
const clock = createManualClock(Date.now());
const counted: string[] = [];
const told: (readonly [Owner, string])[] = [];
const namespaces = new Map<string, Namespace>();
let news = Promise.withResolvers<void>();
let server: WebhookServer;
let port: number;
let ca: string;

beforeEach(async () => {
  counted.length = 0;
  told.length = 0;
  namespaces.clear();
  namespaces.set("acme", namespaceOf());
  server = createWebhookServer(
    createAdmission({
      ...{ clock, log: SILENT },
      namespaces: { copy: () => namespaces, next: () => news.promise },
      config: () => configOf().injection,
      admitted: (result, reason) => void counted.push(`${result} ${reason}`.trim()),
      skipped: (about, _, message) => void told.push([about, message]),
    }),
  );
  port = await server.start("127.0.0.1", 0);
  use();
});
afterEach(() => server.close());

/** A new authority, and a certificate of it. */
function use(): void {
  const life = { madeAt: Date.now(), validUntil: Date.now() + 600_000 };
  const authority = issueAuthority(life);
  server.use(issueLeaf(authority, [NAME], life));
  ca = authority.cert;
}

interface Asked {
  readonly status: number;
  readonly body: string;
  /** Whether the connection outlives the answer. */
  readonly isKept: boolean;
}

/** As the API server asks. */
function ask(
  body: string,
  {
    path = "/mutate",
    method = "POST",
    type = "application/json",
    trusted = ca,
    agent = false as Agent | false,
  } = {},
): Promise<Asked> {
  const { promise, resolve, reject } = Promise.withResolvers<Asked>();
  const sent = request(
    {
      ...{ host: "127.0.0.1", port, servername: NAME, ca: trusted, agent, path, method },
      headers: { "content-type": type },
    },
    (response) =>
      void readAll(response).then(
        (text) =>
          resolve({
            status: response.statusCode ?? 0,
            body: text,
            isKept: response.headers.connection === "keep-alive",
          }),
        reject,
      ),
  );
  sent.on("error", reject);
  sent.end(body);
  return promise;
}

const review = (object: unknown, more: JsonObject = {}): string =>
  JSON.stringify({
    apiVersion: "admission.k8s.io/v1",
    kind: "AdmissionReview",
    request: {
      ...{ uid: "u-1", kind: { kind: "Pod" }, operation: "CREATE", namespace: "acme", object },
      ...more,
    },
  });
async function answered(body: string): Promise<Readonly<Record<string, never>>> {
  const { status, body: text } = await ask(body);
  expect(status).toBe(200);
  const { response } = JSON.parse(text) as { readonly response: Record<string, never> };
  expect(response["uid"]).toBe("u-1");
  return response;
}

describe("a review", () => {
  test("is answered with a patch that makes the pod", async () => {
    const response = await answered(review(podJson()));
    const patch = JSON.parse(Buffer.from(response["patch"] ?? "", "base64").toString());
    expect(response).toMatchObject({ allowed: true, patchType: "JSONPatch" });
    expect(JSON.stringify(applied(podJson(), patch))).toContain('"imprest-sidecar"');
    expect(counted).toEqual(["injected"]);
  });

  test("of a pod that did not opt in is answered with yes and nothing else", async () => {
    const pod = podJson({ labels: { "imprest.dev/inject": "false" } });
    expect(await answered(review(pod))).toEqual({ uid: "u-1", allowed: true });
    expect(counted).toEqual(["ignored"]);
  });

  test("of a pod that is refused says why", async () => {
    const pod = podJson({ annotations: { "imprest.dev/mode": "nativ" } });
    const response = await answered(review(pod));
    expect(response).toMatchObject({ allowed: false, status: { code: 422, reason: "Invalid" } });
    expect(counted).toEqual(["refused Settings"]);
  });

  test("of a pod that is skipped warns, and tells the owner unless nothing is really made", async () => {
    const pod = podJson({ spec: { hostNetwork: true } });
    const response = await answered(review(pod, { dryRun: true }));
    expect(response).toMatchObject({
      allowed: true,
      warnings: [expect.stringContaining("no sidecar: the pod is on its node's network")],
    });
    expect(told).toEqual([]);
    await answered(review(pod));
    expect(told[0]?.[0]).toMatchObject({ kind: "Pod", name: "agent-1" });
    expect(counted).toEqual(["skipped HostNetwork", "skipped HostNetwork"]);
  });

  test("waits for the news of a namespace that was made a moment ago", async () => {
    namespaces.clear();
    const answer = ask(review(podJson()));
    await eventually(() => clock.pending() > 0);
    namespaces.set("acme", namespaceOf());
    news.resolve();
    news = Promise.withResolvers();
    expect((await answer).status).toBe(200);
  });

  test("of a namespace that nobody knows is a failure, so that failurePolicy decides", async () => {
    namespaces.clear();
    const answer = ask(review(podJson()));
    await eventually(() => clock.pending() > 0);
    clock.advance(1_500);
    expect((await answer).status).toBe(500);
    expect(counted).toEqual(["failed"]);
  });
});

describe("what is no review", () => {
  test.each([
    ["no JSON", "{", 400],
    ["nothing", "", 400],
    ["null", "null", 400],
    ["another kind", review({}, { kind: { kind: "Node" } }), 400],
    ["another operation", review(podJson(), { operation: "DELETE" }), 400],
    ["a pod without containers", review({ spec: { containers: [] } }), 400],
    ["a pod of the wrong types", review({ spec: { containers: [{ name: 7 }] } }), 400],
    ["labels that are none", review({ ...podJson(), metadata: { labels: [1] } }), 400],
    ["more than an API server sends", " ".repeat(9_000_000), 413],
  ])("%s is refused as such, and never as denied", async (_, body, status) => {
    const answer = await ask(body).catch(() => ({ status: 413, body: "" }));
    expect(answer.status).toBe(status);
    expect(answer.body).not.toContain("allowed");
  });

  test.each([
    [{ path: "/" }, 404],
    [{ method: "PUT" }, 405],
    [{ type: "text/plain" }, 415],
  ])("%o is refused", async (options, status) => {
    expect((await ask(review(podJson()), options)).status).toBe(status);
  });

  test("many at once are each answered with their own", async () => {
    const uids = Array.from({ length: 50 }, (_, index) => `u-${index}`);
    const answers = await Promise.all(uids.map((uid) => ask(review(podJson(), { uid }))));
    expect(answers.map(({ body }) => JSON.parse(body).response.uid)).toEqual(uids);
  });
});

test("KC2: a certificate that is replaced is served from the next connection on", async () => {
  const before = ca;
  expect((await ask(review(podJson()))).status).toBe(200);
  use();
  expect((await ask(review(podJson()))).status).toBe(200);
  await expect(ask(review(podJson()), { trusted: before })).rejects.toThrow(/verify|issuer/i);
  expect((await ask(review(podJson()), { trusted: before + ca })).status).toBe(200);
});

test("one that drains goes on answering, and lets go of each connection with its answer", async () => {
  const agent = new Agent({ keepAlive: true });
  try {
    expect(await ask(review(podJson()), { agent })).toMatchObject({ status: 200, isKept: true });
    server.drain();
    for (let again = 0; again < 2; again += 1) {
      expect(await ask(review(podJson()), { agent })).toMatchObject({ status: 200, isKept: false });
    }
  } finally {
    agent.destroy();
  }
});
