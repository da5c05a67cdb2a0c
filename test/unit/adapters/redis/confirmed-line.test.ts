import { describe, expect, test } from "vitest";
import type { Script } from "../../../../src/adapters/redis/codec.ts";
import { createConfirmedLine } from "../../../../src/adapters/redis/confirmed-line.ts";
import type { Link, Outcome, Words } from "../../../../src/adapters/redis/link.ts";

const ADD: Script = { source: "return 1", sha: "sha-of-add" };
const call = (key: string, asking = false) => ({ script: ADD, keys: [key], args: ["x"], asking });

/** A connection to a server that knows the scripts it was sent whole. */
function fakeLink(acknowledges: () => number) {
  const batches: (readonly Words[])[] = [];
  const known = new Set<string>();
  const answer = (words: Words): Outcome => {
    const [name, first = ""] = words;
    if (name === "WAIT") return { kind: "reply", reply: acknowledges() };
    if (name === "EVAL") known.add("sha-of-add");
    if (name === "EVALSHA" && !known.has(String(first))) {
      return { kind: "refused", error: "NOSCRIPT No matching script." };
    }
    return { kind: "reply", reply: words[3] };
  };
  const link = {
    run(commands: readonly Words[]) {
      batches.push(commands);
      return Promise.resolve(commands.map(answer));
    },
  } as unknown as Link;
  return { link, batches, known };
}

const names = (batch: readonly Words[] | undefined) => batch?.map(([name]) => name);

describe("the line of scripts", () => {
  test("CL1: a batch is followed by one WAIT, whose answer confirms all of it or nothing", async () => {
    let acknowledged = 1;
    const { link, batches } = fakeLink(() => acknowledged);
    const line = createConfirmedLine(link, () => 1);
    const replies = await Promise.all([line.send(call("a")), line.send(call("b"))]);
    expect(replies).toEqual([
      { outcome: { kind: "reply", reply: "a" }, isConfirmed: true },
      { outcome: { kind: "reply", reply: "b" }, isConfirmed: true },
    ]);
    expect(batches.map(names)).toEqual([["EVAL", "EVALSHA", "WAIT"]]);
    expect(batches[0]?.at(-1)).toEqual(["WAIT", 1, 100]);
    acknowledged = 0;
    expect(await line.send(call("c"))).toMatchObject({ isConfirmed: false });
  });

  test("CL1: a WAIT that was refused or lost confirms nothing", async () => {
    for (const kind of ["refused", "lost"] as const) {
      const link = {
        run: (commands: readonly Words[]) =>
          Promise.resolve(
            commands.map(([name]) =>
              name === "WAIT" ? { kind, error: "NOPERM" } : { kind: "reply", reply: "a" },
            ),
          ),
      } as unknown as Link;
      const reply = await createConfirmedLine(link, () => 1).send(call("a"));
      expect(reply).toEqual({ outcome: { kind: "reply", reply: "a" }, isConfirmed: false });
    }
  });

  test("where nobody has to confirm there is no WAIT", async () => {
    const { link, batches } = fakeLink(() => 0);
    expect(await createConfirmedLine(link, () => 0).send(call("a"))).toMatchObject({
      isConfirmed: true,
    });
    expect(batches.map(names)).toEqual([["EVAL"]]);
  });

  test("a script that was forgotten is sent whole again, and each call is answered once", async () => {
    const { link, batches, known } = fakeLink(() => 1);
    const line = createConfirmedLine(link, () => 1);
    await line.send(call("a"));
    known.clear();
    const replies = await Promise.all([line.send(call("b")), line.send(call("c"))]);
    expect(replies.map(({ outcome }) => outcome)).toEqual([
      { kind: "reply", reply: "b" },
      { kind: "reply", reply: "c" },
    ]);
    expect(batches.map(names)).toEqual([
      ["EVAL", "WAIT"],
      ["EVALSHA", "EVALSHA", "WAIT"],
      ["EVAL", "EVALSHA", "WAIT"],
    ]);
  });

  test("RT1: ASKING stands right before the script it is for, and takes nobody's answer", async () => {
    const { link, batches } = fakeLink(() => 1);
    const line = createConfirmedLine(link, () => 1);
    const replies = await Promise.all([line.send(call("a", true)), line.send(call("b"))]);
    expect(batches.map(names)).toEqual([["ASKING", "EVAL", "EVALSHA", "WAIT"]]);
    expect(replies.map(({ outcome }) => outcome)).toEqual([
      { kind: "reply", reply: "a" },
      { kind: "reply", reply: "b" },
    ]);
  });
});
