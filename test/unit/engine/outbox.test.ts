import { describe, expect, it } from "vitest";
import { createOutbox } from "../../../src/engine/outbox.ts";
import type { Journal } from "../../../src/ports/journal.ts";
import { createManualClock } from "../../support/manual-clock.ts";

function anOutbox() {
  const clock = createManualClock(0);
  const seen: string[] = [];
  let works = true;
  const journal: Journal = {
    join() {},
    put() {},
    drop() {},
    write() {
      seen.push("write");
      return works;
    },
    isMarked: () => !works,
    close: () => Promise.resolve(),
  };
  const outbox = createOutbox(clock, journal, () => seen.push("lost"));
  return {
    clock,
    seen,
    outbox,
    say: (text: string) => () => void seen.push(text),
    breaks: () => {
      works = false;
    },
  };
}

describe("with a journal", () => {
  it("OU1: nothing leaves before the write", () => {
    const { outbox, clock, seen, say } = anOutbox();
    outbox.send(say("answer"));
    expect(seen).toEqual([]);
    clock.settle();
    expect(seen).toEqual(["write", "answer"]);
  });

  it("OU2: what was sent in one turn of the event loop leaves in its order, after one write", () => {
    const { outbox, clock, seen, say } = anOutbox();
    for (const text of ["a", "b", "c"]) {
      outbox.wake();
      outbox.send(say(text));
    }
    clock.settle();
    expect(seen).toEqual(["write", "a", "b", "c"]);
    clock.settle();
    expect(seen.length).toBe(4);
  });

  it("OU1: what an answer sets off waits for a write of its own", () => {
    const { outbox, clock, seen, say } = anOutbox();
    outbox.send(() => {
      seen.push("a");
      outbox.send(say("b"));
    });
    clock.settle();
    expect(seen).toEqual(["write", "a", "write", "b"]);
  });

  it("OU1: what is flushed has left when flush returns, and no write follows for it", () => {
    const { outbox, clock, seen, say } = anOutbox();
    outbox.send(say("a"));
    outbox.flush();
    expect(seen).toEqual(["write", "a"]);
    clock.settle();
    expect(seen.filter((text) => text === "a")).toEqual(["a"]);
  });

  it("OU3: after a write has failed all leaves all the same, and the loss is told once, first", () => {
    const { outbox, clock, seen, say, breaks } = anOutbox();
    breaks();
    outbox.send(say("a"));
    clock.settle();
    outbox.send(say("b"));
    clock.settle();
    expect(seen).toEqual(["write", "lost", "a", "write", "b"]);
  });

  it("a task that throws keeps no other from leaving, in its order", () => {
    const { outbox, clock, seen, say } = anOutbox();
    outbox.send(say("a"));
    outbox.send(() => {
      throw new Error("a defect");
    });
    outbox.send(say("b"));
    outbox.send(say("c"));
    expect(() => clock.settle()).toThrow("a defect");
    outbox.send(say("d"));
    clock.settle();
    expect(seen.filter((text) => text !== "write")).toEqual(["a", "b", "c", "d"]);
  });
});

it("without a journal all leaves at once, and nothing is woken", () => {
  const seen: string[] = [];
  const soon = (): never => {
    throw new Error("nothing is to come soon");
  };
  const outbox = createOutbox({ soon }, undefined);
  outbox.wake();
  outbox.send(() => seen.push("a"));
  outbox.flush();
  expect(seen).toEqual(["a"]);
});
