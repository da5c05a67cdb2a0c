/** `imprest store` and `imprest ledger` on a real server. */
import { userInfo } from "node:os";
import { beforeEach, describe, expect, test } from "vitest";
import { isOpened } from "../../../src/core/lease/ledger.ts";
import { typeCommand } from "../../support/fake-host.ts";
import { aLedgerSpec } from "../../support/ledgers.ts";
import { noRedis, redisCli } from "../../support/redis-client.ts";
import { freePort, startRedis, type RedisServer } from "../../support/redis-server.ts";
import { useStore } from "../../support/shared-store-user.ts";
import { eventually } from "../../support/eventually.ts";

beforeEach(({ skip }) => skip(noRedis !== undefined, noRedis));

interface Ending {
  onTestFinished(end: () => Promise<void>): void;
}

async function start({ onTestFinished }: Ending, ...args: readonly string[]): Promise<RedisServer> {
  const server = await startRedis({ args });
  onTestFinished(() => server.stop());
  return server;
}

const type = (line: string) => typeCommand(line.split(" "));

describe.concurrent("imprest store", () => {
  test("check tells that nothing is missing, init prepares, and both may be said again", async (ending) => {
    const { url, port } = await start(ending);
    const first = await type(`store check --store ${url}`);
    expect(first).toMatchObject({ status: 0, stderr: "" });
    expect(first.stdout).toContain("fit, not yet prepared");
    expect(await redisCli(port, "DBSIZE")).toBe("0");
    const init = await type(`store init --store ${url}`);
    expect(init.stdout).toContain("fit, and prepared for --confirm auto");
    const id = await redisCli(port, "GET", "imprest:id");
    expect(id).toMatch(/:auto$/);
    expect(await type(`store init --store ${url}`)).toMatchObject({ status: 0 });
    expect(await redisCli(port, "GET", "imprest:id")).toBe(id);
    const checked = await type(`store check --store ${url} --json`);
    expect(JSON.parse(checked.stdout)).toMatchObject({ fit: true, prepared: "auto", problems: [] });
    // Its shards have listened already: the first message is granted at once.
    const user = useStore(url);
    await user.hears("up");
    expect(await user.ask(5)).toMatchObject({ blocks: [{ grant: 5, learningMs: 0 }] });
    await user.close();
  });

  test("init for another mode than the fleet's is refused", async (ending) => {
    const { url } = await start(ending);
    await type(`store init --store ${url}`);
    const { status, stdout } = await type(`store init --store ${url} --confirm off`);
    expect(status).toBe(1);
    expect(stdout).toContain("this fleet runs with --confirm auto, not off: one mode for all");
  });

  test("what is missing is named with what to do, and the exit status is 1", async (ending) => {
    const { url, port } = await start(ending, "--maxmemory-policy", "volatile-ttl");
    const { status, stdout } = await type(`store check --store ${url}`);
    expect(status).toBe(1);
    expect(stdout).toContain("maxmemory-policy is volatile-ttl");
    expect(stdout).toContain("CONFIG SET maxmemory-policy noeviction");
    expect(await type(`store init --store ${url}`)).toMatchObject({ status: 1 });
    expect(await redisCli(port, "DBSIZE")).toBe("0");
    const nobody = await type(`store check --store redis://127.0.0.1:${await freePort()} --json`);
    expect(nobody.status).toBe(1);
    expect(nobody.stdout).toContain("ECONNREFUSED");
  });

  test("memory: is offered to none that looks at a fleet's store", async () => {
    const forms =
      "redis://HOST:PORT, rediss://… (TLS), redis+sentinel://H1:P,H2:P/NAME, redis+cluster://H1:P,H2:P";
    for (const [command, store, found] of [
      ["store check", "memory:", "memory:"],
      ["doctor", "x", "something else"],
      ["ledger show --tenant a", "x", "something else"],
    ]) {
      const { status, stderr } = await type(`${command} --store ${store}`);
      expect(status).toBe(2);
      expect(stderr).toContain(`--store: found ${found}; allowed: ${forms}\n`);
    }
  });

  test("check says that a password is required where none was given", async (ending) => {
    const { url } = await start(ending, "--requirepass", "sesame");
    for (let i = 0; i < 3; i += 1) {
      const { status, stdout } = await type(`store check --store ${url}`);
      expect(status).toBe(1);
      expect(stdout).toContain("NOAUTH Authentication required.");
    }
  });

  test("a configuration error is told before anything is asked", async () => {
    const { status, stderr } = await type("store check --store redis://:hunter2@h:x");
    expect(status).toBe(2);
    expect(stderr).toContain("--store: found a host or port that is none");
    expect(stderr).not.toContain("hunter2");
    const file = await type("store check --store redis://h --store-password-file /nowhere");
    expect(file).toMatchObject({ status: 2 });
    expect(file.stderr).toContain("/nowhere");
  });
});

/** A budget of 100, of which a sidecar that is gone had 60 and one that lives has 10. */
async function withDead(ending: Ending) {
  const { url } = await start(ending);
  await type(`store init --store ${url}`);
  const spec = aLedgerSpec({ key: "acme\0month/tokens\0\0" + "2026-11" });
  const brief = { terms: { ttlMs: 300, graceMs: 50 } };
  const dead = useStore(url, brief);
  await dead.hears("up");
  await dead.get(60, { spec });
  await dead.close();
  const live = useStore(url, brief);
  ending.onTestFinished(() => live.close());
  await live.hears("up");
  await live.get(10, { spec });
  await eventually(async () => {
    await live.ask(0, { spec });
    const view = await live.read(spec);
    return isOpened(view) && view.quarantined > 0;
  });
  return { url, spec, live };
}

describe.concurrent("imprest ledger", () => {
  test("show says what is leased by whom, and what the dead left", async (ending) => {
    const { url } = await withDead(ending);
    const shown = await type(`ledger show --store ${url} --tenant acme --json`);
    const { ledgers } = JSON.parse(shown.stdout);
    expect(ledgers).toMatchObject([
      {
        ...{ limit: "month", meter: "tokens", period: "2026-11", kind: "budget", units: 100 },
        ...{ spent: 0, leased: 10, quarantined: 60, available: 30 },
      },
    ]);
    const holders = ledgers[0].holders.map(({ state, out, label }: never) => [state, out, label]);
    expect(holders.toSorted()).toEqual([
      ["dead", 60, "a test"],
      ["live", 10, "a test"],
    ]);
    expect(Date.parse(ledgers[0].holders[0].since)).toBeGreaterThan(Date.now() - 60_000);
    const { stdout } = await type(`ledger show --store ${url} --uid acme --limit month`);
    expect(stdout).toContain(
      "month tokens 2026-11: 30 of 100 left, 0 spent, 10 leased, 60 in quarantine",
    );
    const other = await type(`ledger show --store ${url} --tenant acme --limit year`);
    const stderr = "imprest ledger show: the store has no such ledger\n";
    expect(other).toEqual({ status: 1, stdout: "", stderr });
    const nobodys = await type(`ledger show --store ${url} --tenant nobody --json`);
    expect(nobodys).toEqual({ status: 1, stdout: '{"uid":"nobody","ledgers":[]}\n', stderr });
  });

  test("resolve tells what it would do, does it with --yes, and leaves who did it", async (ending) => {
    const { url, spec, live } = await withDead(ending);
    const asked = await type(`ledger resolve --store ${url} --tenant acme`);
    expect(asked).toMatchObject({ status: 3, stderr: "" });
    expect(asked.stdout).toContain("Nothing was changed");
    expect(await live.read(spec)).toMatchObject({ quarantined: 60 });
    const done = await type(`ledger resolve --store ${url} --tenant acme --yes`);
    expect(done.status).toBe(0);
    expect(JSON.parse(done.stderr)).toMatchObject({
      ...{ msg: "ledger resolve", uid: "acme", store: url, user: userInfo().username },
      ...{ before: { quarantined: 60 }, after: { quarantined: 0, available: 90 } },
    });
    expect(await live.read(spec)).toMatchObject({ quarantined: 0, available: 90, out: 10 });
    const again = await type(`ledger resolve --store ${url} --tenant acme --yes`);
    expect(again).toMatchObject({ status: 0, stdout: "Nothing to do.\n" });
  });

  test("reset begins one limit anew, and takes nothing from live sidecars", async (ending) => {
    const { url, spec, live } = await withDead(ending);
    const unsaid = await type(`ledger reset --store ${url} --tenant acme --yes`);
    expect(unsaid.status).toBe(2);
    expect(unsaid.stderr).toContain("--limit");
    const done = await type(`ledger reset --store ${url} --tenant acme --limit month --yes --json`);
    expect(JSON.parse(done.stdout)).toMatchObject({ done: true, ledgers: [{ available: 90 }] });
    expect(await live.read(spec)).toMatchObject({ spent: 0, quarantined: 0, out: 10 });
    const none = await type(`ledger reset --store ${url} --tenant globex --limit month --yes`);
    expect(none).toMatchObject({ status: 1 });
    expect(none.stderr).toContain("the store has no such ledger");
  });

  test("of a limit with `per` one bucket is named by its values, all of them", async (ending) => {
    const { url } = await start(ending);
    await type(`store init --store ${url}`);
    const user = useStore(url);
    ending.onTestFinished(() => user.close());
    await user.hears("up");
    const specs = ["staging\0u-1", "staging\0u-2"].map((values) =>
      aLedgerSpec({ key: `acme\0each/tokens\0${values}\0${"2026-11"}` }),
    );
    for (const spec of specs) await user.get(10, { spec });
    const reset = `ledger reset --store ${url} --tenant acme --limit each --json`;
    const done = await type(`${reset} --per staging --per u-2 --yes`);
    expect(JSON.parse(done.stdout).ledgers).toMatchObject([{ per: ["staging", "u-2"] }]);
    expect(await type(`${reset} --per u-2 --yes`)).toMatchObject({ status: 1 });
    const all = await type(reset);
    expect(JSON.parse(all.stdout).ledgers).toHaveLength(2);
  });

  test("show without a name says what there is of everybody", async (ending) => {
    const { url, live } = await withDead(ending);
    await live.get(5, { uid: "other {x}" });
    const { stdout } = await type(`ledger show --store ${url} --json`);
    expect(JSON.parse(stdout)).toMatchObject({
      tenants: [
        { uid: "acme", ledgers: [{ leased: 10, quarantined: 60 }] },
        { uid: "other {x}", ledgers: [{ leased: 5 }] },
      ],
    });
    const shown = await type(`ledger show --store ${url}`);
    expect(shown.status).toBe(0);
    expect(shown.stdout.split("\n")[0]).toBe("acme");
    const { url: empty } = await start(ending);
    const none = await type(`ledger show --store ${empty}`);
    expect(none).toMatchObject({ status: 0, stdout: "The store has no ledgers.\n" });
  });

  test("what is changed is one tenant's, and whose has to be said once", async () => {
    for (const words of ["resolve", "show --tenant a --uid b"]) {
      const { status, stderr } = await type(`ledger ${words} --store redis://h`);
      expect(status).toBe(2);
      expect(stderr).toContain("--tenant, --uid");
    }
  });
});
