import { afterEach, beforeEach, expect, test } from "vitest";
import { createApiClient, type ApiClient } from "../../../../src/adapters/kubernetes/api-client.ts";
import { watchCollection, type Watched } from "../../../../src/adapters/kubernetes/watched.ts";
import { startFakeApiServer, type FakeApiServer } from "../../../support/fake-api-server.ts";
import { eventually } from "../../../support/eventually.ts";
import { SILENT } from "../../../support/silence.ts";

const PATH = "/api/v1/namespaces";
let server: FakeApiServer;
let api: ApiClient;
let watched: Watched<string> | undefined;

beforeEach(async () => {
  server = await startFakeApiServer();
  api = createApiClient(server.access);
});
afterEach(async () => {
  watched?.stop();
  api.close();
  await server.close();
});

const put = (name: string, color: string): void =>
  server.put(`${PATH}/${name}`, { metadata: { name }, color });
const open = (fieldSelector?: string): Watched<string> => {
  watched = watchCollection({
    ...{ api, log: SILENT, path: PATH },
    ...(fieldSelector === undefined ? {} : { fieldSelector }),
    read: (object) => (object as { readonly color: string }).color,
  });
  return watched;
};
const content = (of: Watched<string>): string =>
  [...(of.copy() ?? [])].map(([name, color]) => `${name}=${color}`).join(" ");

test("WC1: the copy is there with the first list, whole, and follows every change", async () => {
  put("a", "red");
  put("b", "blue");
  const colors = open();
  expect(colors.copy()).toBeUndefined();
  await colors.next();
  expect(content(colors)).toBe("a=red b=blue");
  await eventually(() => server.watches() === 1);
  put("a", "green");
  server.remove(`${PATH}/b`);
  put("c", "white");
  await eventually(() => content(colors) === "a=green c=white");
});

test("WC1: one object alone is followed by a field selector", async () => {
  put("a", "red");
  put("b", "blue");
  const colors = open("metadata.name=b");
  await colors.next();
  await eventually(() => server.watches() === 1);
  put("a", "green");
  put("b", "white");
  await eventually(() => content(colors) === "b=white");
  expect(content(colors)).not.toContain("a=");
});

test.each(["expired", undefined] as const)(
  "WC2: a watch that ends (%s) goes on, and what was missed is caught up with",
  async (how) => {
    put("a", "red");
    put("b", "blue");
    const colors = open();
    await colors.next();
    await eventually(() => server.watches() === 1);
    server.endWatches(how);
    await eventually(() => server.watches() === 0);
    // Between two watches there is a pause, in which something is missed.
    if (how === "expired") server.remove(`${PATH}/a`);
    expect(content(colors)).toContain("b=blue");
    await eventually(() => server.watches() === 1);
    put("b", "white");
    await eventually(() => content(colors) === (how === "expired" ? "b=white" : "a=red b=white"));
  },
);

test("WC2: an API server that refuses for a while is asked again", async () => {
  server.fail(503);
  put("a", "red");
  const colors = open();
  await eventually(() => server.asked.length > 1);
  expect(colors.copy()).toBeUndefined();
  server.fail(0);
  await eventually(() => content(colors) === "a=red");
});
