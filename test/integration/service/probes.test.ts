import { request } from "node:http";
import { connect } from "node:net";
import { status } from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { checkHealth, watchHealth } from "../../support/health-client.ts";
import { failureOf } from "../../support/quota-client.ts";
import { type RunningSidecar, startSidecar } from "../../support/running-sidecar.ts";
import { fallSilent } from "../../support/silent-reader.ts";

const POLICY = `
default_plan: free
plans:
  free:
    limits:
      - {name: tokens, meter: tokens, budget: {units: 1000, period: once, ttl: 1h}}
`;
const QUOTA = "imprest.v1.QuotaService";

let running: RunningSidecar;
beforeAll(async () => {
  running = await startSidecar(POLICY);
});
afterAll(() => running.close());

describe("grpc.health.v1", () => {
  test("S35: SERVING for the whole and for QuotaService, on --health and on --listen", async () => {
    for (const address of [running.addresses.health, ...running.addresses.listen]) {
      const client = running.bare(address);
      expect(await checkHealth(client)).toBe("SERVING");
      expect(await checkHealth(client, QUOTA)).toBe("SERVING");
    }
  });

  test("S35: another service is NOT_FOUND on Check and SERVICE_UNKNOWN on Watch", async () => {
    const client = running.bare(running.addresses.health);
    expect((await failureOf(checkHealth(client, "other"))).code).toBe(status.NOT_FOUND);
    expect(await watchHealth(client, "other").next()).toBe("SERVICE_UNKNOWN");
  });

  test("--health answers health alone", async () => {
    const client = running.bare(running.addresses.health);
    const path = `/${QUOTA}/Check`;
    const call = new Promise((resolve, reject) => {
      const bytes = (buffer: Buffer): Buffer => buffer;
      client.makeUnaryRequest(path, bytes, bytes, Buffer.alloc(0), (error, response) =>
        error === null ? resolve(response) : reject(error),
      );
    });
    expect((await failureOf(call)).code).toBe(status.UNIMPLEMENTED);
  });
});

describe("HTTP", () => {
  test("S35: /livez and /readyz answer ok; verbose lists every check", async () => {
    expect(await running.get("/livez")).toEqual({ status: 200, body: "ok" });
    expect(await running.get("/readyz")).toEqual({ status: 200, body: "ok" });
    const { body } = await running.get("/readyz?verbose");
    const names = body.split("\n").map((line) => /^\[\+\]([a-z]+)/.exec(line)?.[1]);
    expect(names).toEqual([
      "policy",
      "listeners",
      "drain",
      "store",
      "reload",
      undefined,
      undefined,
    ]);
  });

  const send = (method: string, path: string) =>
    new Promise<{ status: number | undefined; allow: string | undefined; body: string }>(
      (resolve, reject) => {
        const url = `http://${running.addresses.http}${path}`;
        const sent = request(url, { method }, (response) => {
          let body = "";
          response.on("data", (chunk) => (body += chunk));
          response.on("end", () =>
            resolve({ status: response.statusCode, allow: response.headers.allow, body }),
          );
        });
        sent.on("error", reject).end();
      },
    );

  test("GET and HEAD alone; what is not there is not found", async () => {
    expect(await send("HEAD", "/metrics")).toMatchObject({ status: 200, body: "" });
    expect(await send("POST", "/readyz")).toMatchObject({ status: 405, allow: "GET, HEAD" });
    expect(await send("GET", "/nothing")).toMatchObject({ status: 404 });
    expect(await send("GET", "//%%%?verbose")).toMatchObject({ status: 404 });
  });

  test("bytes that are no HTTP, and headers without end, close the connection and nothing else", async () => {
    const [host = "", port = ""] = running.addresses.http.split(":");
    for (const bytes of [
      "\x00\xff garbage\r\n\r\n",
      `GET / HTTP/1.1\r\nx: ${"y".repeat(20_000)}\r\n`,
    ]) {
      const socket = connect(Number(port), host);
      socket.on("error", () => {});
      socket.write(bytes);
      socket.resume();
      await new Promise((resolve) => socket.once("close", resolve));
    }
    expect((await running.get("/livez")).status).toBe(200);
  });

  test("S35: draining, /readyz is 503 with a line for the reason and /livez stays 200", async () => {
    const other = await startSidecar(POLICY);
    await fallSilent(other.client());
    const drained = other.sidecar.drain();
    await other.logged("draining");
    expect(await other.get("/readyz")).toEqual({ status: 503, body: "[-]drain: draining\n" });
    expect((await other.get("/livez")).status).toBe(200);
    await drained;
    await other.close();
  });
});
