import { once } from "node:events";
import { connect as connectHttp2, constants } from "node:http2";
import { connect } from "node:net";
import { gzipSync } from "node:zlib";
import { status } from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { CheckRequest, QuotaServiceService } from "../../../src/gen/imprest/v1/quota.ts";
import { failureOf, type QuotaClient } from "../../support/quota-client.ts";
import { type RunningSidecar, startSidecar } from "../../support/running-sidecar.ts";
import { createSeededRng } from "../../support/seeded-rng.ts";

const POLICY = `
default_plan: free
plans:
  free:
    limits:
      - {name: tokens, meter: tokens, budget: {units: 1000, period: once, ttl: 1h}}
      - {name: runs, meter: tokens, per: [run], budget: {units: 10, period: once, ttl: 1h}}
      - {name: open, concurrency: {max: 5}}
`;
const subject = { tenant: "acme" };
const PREFACE = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

let running: RunningSidecar;
let client: QuotaClient;
beforeAll(async () => {
  running = await startSidecar(POLICY);
  client = running.client({ "grpc.max_send_message_length": -1 });
});
afterAll(() => running.close());

/** The process is well, and nothing was held or charged. */
async function isUntouched(): Promise<boolean> {
  const { balances } = await client.call("getBalance", { subject });
  const { reservations } = await client.call("listReservations", { subject });
  const used = balances.map(({ spentUnits, leasedUnits }) => spentUnits + leasedUnits);
  return reservations.length === 0 && used.every((units) => units === 0n);
}

describe("deadlines", () => {
  test("of 0 or past: DEADLINE_EXCEEDED, and nothing is held", async () => {
    for (const deadline of [Date.now() - 1_000, Date.now(), 0]) {
      const call = client.call("reserve", { subject }, { deadline });
      expect((await failureOf(call)).code).toBe(status.DEADLINE_EXCEEDED);
    }
    expect(await isUntouched()).toBe(true);
  });

  /** The client refuses to send such a call itself, so it is put on the wire by hand. */
  async function rawCall(headers: Record<string, string>, body: Buffer): Promise<number> {
    const session = connectHttp2("http://localhost", {
      createConnection: () => connect(running.addresses.listen[0]?.slice("unix:".length) ?? ""),
    });
    session.on("error", () => {});
    const stream = session.request({
      [constants.HTTP2_HEADER_METHOD]: "POST",
      [constants.HTTP2_HEADER_PATH]: QuotaServiceService.reserve.path,
      "content-type": "application/grpc",
      te: "trailers",
      ...headers,
    });
    const code = new Promise<number>((resolve) => {
      const read = (found: Record<string, unknown>): void => {
        if (found["grpc-status"] !== undefined) resolve(Number(found["grpc-status"]));
      };
      stream.on("response", read).on("trailers", read);
      stream.on("error", () => resolve(-1)).on("close", () => resolve(-1));
    });
    stream.end(body);
    stream.resume();
    const found = await code;
    session.destroy();
    return found;
  }
  const framed = (message: Uint8Array, compressed = 0): Buffer => {
    const head = Buffer.alloc(5);
    head.writeUInt8(compressed, 0);
    head.writeUInt32BE(message.length, 1);
    return Buffer.concat([head, message]);
  };
  const request = CheckRequest.encode(CheckRequest.fromPartial({ subject })).finish();

  test("that have passed on arrival hold nothing", async () => {
    expect(await rawCall({ "grpc-timeout": "0m" }, framed(request))).toBe(status.DEADLINE_EXCEEDED);
    expect(await rawCall({ "grpc-timeout": "1n" }, framed(request))).toBe(status.DEADLINE_EXCEEDED);
    expect(await isUntouched()).toBe(true);
  });

  test("that are no deadline are gRPC's own INTERNAL", async () => {
    expect(await rawCall({ "grpc-timeout": "soon" }, framed(request))).toBe(status.INTERNAL);
  });

  test("S33: a compressed bomb, a message too large, and bytes that do not decode", async () => {
    const bomb = gzipSync(Buffer.alloc(64 * 2 ** 20));
    const gzip = { "grpc-encoding": "gzip" };
    expect(await rawCall(gzip, framed(bomb, 1))).toBe(status.RESOURCE_EXHAUSTED);
    expect(await rawCall(gzip, framed(Buffer.from("no gzip"), 1))).toBe(status.INTERNAL);
    const large = client.callBytes("check", Buffer.alloc(4 * 2 ** 20 + 1));
    expect(await failureOf(large)).toMatchObject({ code: status.RESOURCE_EXHAUSTED, reason: "" });
    const damaged = client.callBytes("check", Buffer.from([0xff, 0xff, 0xff]));
    expect(await failureOf(damaged)).toMatchObject({ code: status.INTERNAL, reason: "" });
    expect(await isUntouched()).toBe(true);
  });

  test("a unary call without a message, and with two", async () => {
    expect(await rawCall({}, Buffer.alloc(0))).toBe(status.UNIMPLEMENTED);
    const twice = Buffer.concat([framed(request), framed(request)]);
    expect(await rawCall({}, twice)).toBe(status.UNIMPLEMENTED);
    expect(await isUntouched()).toBe(true);
  });

  test("huge headers end the call or the connection, and nothing else", async () => {
    expect(await rawCall({ "x-huge": "y".repeat(200_000) }, framed(request))).not.toBe(status.OK);
    const metadata = { "x-large": "y".repeat(8_000) };
    expect((await client.call("check", { subject }, { metadata })).verdict?.decision).toBe(1);
  });
});

describe("bytes on the socket", () => {
  const send = async (address: string, bytes: Buffer): Promise<void> => {
    const [host = "", port = ""] = address.split(":");
    const socket = address.startsWith("unix:")
      ? connect(address.slice("unix:".length))
      : connect(Number(port), host);
    socket.on("error", () => {});
    await once(socket, "connect");
    const closed = new Promise((resolve) => socket.once("close", resolve));
    socket.resume();
    socket.end(bytes);
    await closed;
  };
  /** A frame with the head that its parts say, however wrong. */
  const frame = (type: number, flags: number, id: number, payload: Buffer): Buffer => {
    const head = Buffer.alloc(9);
    head.writeUIntBE(payload.length, 0, 3);
    head.writeUInt8(type, 3);
    head.writeUInt8(flags, 4);
    head.writeUInt32BE(id, 5);
    return Buffer.concat([head, payload]);
  };
  const settings = frame(4, 0, 0, Buffer.alloc(0));
  const opening = Buffer.concat([Buffer.from(PREFACE), settings]);

  test("no garbage brings it down: noise, HTTP/1, broken frames, bad HPACK, endless CONTINUATION", async () => {
    const rng = createSeededRng(7);
    const noise = (length: number): Buffer =>
      Buffer.from(Array.from({ length }, () => Math.floor(rng.next() * 256)));
    const continuation = frame(9, 0, 1, noise(1_000));
    const cases = [
      noise(10_000),
      Buffer.from("GET / HTTP/1.1\r\nhost: x\r\n\r\n"),
      Buffer.concat([opening, noise(5_000)]),
      Buffer.concat([opening, frame(1, 4, 1, noise(500))]),
      Buffer.concat([opening, frame(1, 0, 1, noise(50)), ...Array(500).fill(continuation)]),
      Buffer.concat([opening, frame(0, 0, 0, noise(100))]),
      Buffer.concat([opening, frame(3, 0, 9, Buffer.alloc(4))]),
      Buffer.concat([opening, ...Array(2_000).fill(frame(6, 0, 0, Buffer.alloc(8)))]),
      Buffer.from(PREFACE).subarray(0, 10),
    ];
    for (const address of [...running.addresses.listen, running.addresses.health]) {
      for (const bytes of cases) await send(address, bytes);
    }
    expect(await isUntouched()).toBe(true);
  });
});

describe("one operation", () => {
  test("1,000 dimensions are one clear error", async () => {
    const dimensions = new Map(Array.from({ length: 1000 }, (_, i) => [`k${i}`, "v"] as const));
    const call = client.call("reserve", { subject: { ...subject, dimensions } });
    expect(await failureOf(call)).toMatchObject({
      code: status.INVALID_ARGUMENT,
      reason: "BAD_SIZE",
      field: "subject.dimensions",
    });
  });

  test("S33: a level called __proto__ is as good as any, and its limit is not evaded", async () => {
    const odd = await startSidecar(`
dimensions: [__proto__]
default_plan: free
plans:
  free:
    limits:
      - {name: each, meter: tokens, per: [__proto__], budget: {units: 10, period: once, ttl: 1h}}
`);
    const dimensions = new Map([["__proto__", "constructor"]]);
    const request = {
      subject: { ...subject, dimensions },
      amounts: [{ meter: "tokens", units: 8n }],
    };
    const decisions = [];
    for (let i = 0; i < 2; i += 1) {
      decisions.push((await odd.client().call("consume", request)).verdict?.decision);
    }
    expect(decisions).toEqual([1, 3]);
    await odd.close();
  });

  test("it is cancelled at every stage: what was handed over before that expires as any other", async () => {
    for (let turns = 0; turns < 40; turns += 1) {
      const started = (call: { cancel(): void }): void => {
        let left = turns;
        const step = (): void => {
          left -= 1;
          if (left < 0) call.cancel();
          else setImmediate(step);
        };
        step();
      };
      const call = client.call("reserve", { subject, ttl: { seconds: 1n } }, { started });
      const heard = await call.catch(() => undefined);
      if (heard !== undefined && heard.reservationId !== "") {
        await client.call("release", { reservationId: heard.reservationId });
      }
    }
    await expect.poll(isUntouched, { timeout: 5_000 }).toBe(true);
  });
});
