import { spawnSync } from "node:child_process";
import { expect, it } from "vitest";
import { createClock } from "../../../../src/adapters/system/clock.ts";

it("wall time is whole milliseconds of the machine's clock", () => {
  const before = Date.now();
  const now = createClock().wall();
  expect(Number.isSafeInteger(now)).toBe(true);
  expect(now).toBeGreaterThanOrEqual(before);
  expect(now).toBeLessThanOrEqual(Date.now());
});

it("monotonic time never goes backwards", () => {
  const clock = createClock();
  let last = clock.mono();
  for (let i = 0; i < 1000; i++) {
    const now = clock.mono();
    expect(now).toBeGreaterThanOrEqual(last);
    last = now;
  }
});

it("a timer runs its task once, unless it is cancelled", async () => {
  const clock = createClock();
  const ran: string[] = [];
  const cancel = clock.timer(1, () => ran.push("cancelled"));
  cancel();
  await new Promise<void>((resolve) => {
    const keepAlive = setInterval(() => {}, 1000);
    clock.timer(5, () => {
      ran.push("kept");
      clearInterval(keepAlive);
      resolve();
    });
  });
  expect(ran).toEqual(["kept"]);
});

it("a timer beyond 24.8 days does not fire at once", async () => {
  const clock = createClock();
  let fired = false;
  const cancel = clock.timer(40 * 86_400_000, () => (fired = true));
  // A timeout that overflows is set to 1 ms, so that one of 20 ms comes after it.
  await new Promise<void>((resolve) => setTimeout(resolve, 20));
  cancel();
  expect(fired).toBe(false);
});

it("a timer does not keep the process alive", () => {
  const clock = new URL("../../../../src/adapters/system/clock.ts", import.meta.url).pathname;
  const script = `import { createClock } from ${JSON.stringify(clock)};
    createClock().timer(60_000, () => {}); console.log("end of script");`;
  const ended = spawnSync(process.execPath, ["--input-type=module", "-e", script], {
    encoding: "utf8",
    timeout: 20_000,
  });
  expect(ended.stdout).toBe("end of script\n");
  expect(ended.status).toBe(0);
});

it("what runs soon does not run at once", async () => {
  const ran: string[] = [];
  await new Promise<void>((resolve) => {
    createClock().soon(() => {
      ran.push("soon");
      resolve();
    });
    ran.push("here");
  });
  expect(ran).toEqual(["here", "soon"]);
});
