import { expect, test } from "vitest";
import { configure } from "../../../src/cli/configuration.ts";
import { ledgerResolve } from "../../../src/cli/ledger.ts";

const words = ["--store", "redis://h", "--tenant", "acme"];

test("a sidecar's variables mean nothing else to who resolves in its container", () => {
  const env = { IMPREST_HOLDER: "pod-1", IMPREST_CONFIRM: "strict" };
  const { problems, values } = configure(ledgerResolve.flags, [], words, env);
  expect(problems).toEqual([]);
  expect(values).toMatchObject({ lease: undefined, confirm: "strict" });
});

test("one lease is named as it is listed", () => {
  const id = "019aa3c1b6647000b1d2e3f4a5b6c7d8";
  const read = (lease: string) =>
    configure(ledgerResolve.flags, [], [...words, "--lease", lease], {});
  expect(read(id).values).toMatchObject({ lease: id });
  expect(read("pod-1").problems).toMatchObject([{ where: "--lease" }]);
});
