import { describe, expect, test } from "vitest";
import { createInstallation } from "../../../../src/adapters/redis/installation.ts";
import type { Outcome, Words } from "../../../../src/adapters/redis/link.ts";

const reply = (value: unknown): Outcome => ({ kind: "reply", reply: value });

function setUp({ failure = "", claimed = "OK" as unknown, isHeir = false } = {}) {
  const did: string[] = [];
  let news = 0;
  const installation = createInstallation({
    confirm: "auto",
    learnMs: 12_000,
    isHeir,
    mint: () => "nonce",
    deployment: {
      bear(windowMs) {
        did.push(`bear ${windowMs}`);
        return Promise.resolve(failure);
      },
      askForId(words: Words) {
        did.push(words.join(" "));
        return Promise.resolve(reply(claimed));
      },
    },
    onNews: () => (news += 1),
    onBorn: () => did.push("born"),
  });
  return { installation, did, news: () => news };
}

describe("the installation", () => {
  test("IN1: shards are born before the id is written", async () => {
    const { installation, did } = setUp();
    expect(installation.cause()).toBeUndefined();
    await installation.hear(reply(null));
    expect(did).toEqual(["bear 2000", "SET imprest:id nonce:auto NX", "born"]);
    expect(installation.cause()).toBe("");
  });

  test("IN1: no id is written for shards that could not all be reached", async () => {
    const { installation, did } = setUp({ failure: "connect ECONNREFUSED" });
    await installation.hear(reply(null));
    expect(did).toEqual(["bear 2000"]);
    expect(installation.cause()).toBe("connect ECONNREFUSED");
  });

  test("IN2: where another one was faster, its id is taken", async () => {
    const { installation, news } = setUp({ claimed: null });
    await installation.hear(reply(null));
    expect(installation.cause()).toBeUndefined();
    await installation.hear(reply("theirs:auto"));
    expect(installation.cause()).toBe("");
    expect(news()).toBe(0);
  });

  test("IN3: who has seen an id births with the long window, and tells that all is new", async () => {
    const { installation, did, news } = setUp();
    await installation.hear(reply("first:auto"));
    await installation.hear(reply(null));
    expect(did[0]).toBe("bear 12000");
    expect(news()).toBe(1);
  });

  test("IN3: so does who goes on from what another process has left", async () => {
    const { installation, did } = setUp({ isHeir: true });
    await installation.hear(reply(null));
    expect(did[0]).toBe("bear 12000");
  });

  test("another id is another data set", async () => {
    const { installation, news } = setUp();
    await installation.hear(reply("first:auto"));
    await installation.hear(reply("first:auto"));
    expect(news()).toBe(0);
    await installation.hear(reply("second:auto"));
    expect(news()).toBe(1);
  });

  test("IN4: another mode is named, until the fleet's is the same", async () => {
    const { installation } = setUp();
    await installation.hear(reply("first:strict"));
    expect(installation.cause()).toBe(
      "this fleet runs with --confirm strict, this sidecar with --confirm auto: one mode for all",
    );
    await installation.hear(reply("second:auto"));
    expect(installation.cause()).toBe("");
  });

  test("a refusal says why, but takes nothing from what is known", async () => {
    const { installation } = setUp();
    await installation.hear({ kind: "refused", error: "NOPERM get" });
    expect(installation.cause()).toBe("NOPERM get");
    await installation.hear(reply("first:auto"));
    await installation.hear({ kind: "refused", error: "CLUSTERDOWN" });
    expect(installation.cause()).toBe("");
  });
});
