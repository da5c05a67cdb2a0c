import { describe, expect, test } from "vitest";
import {
  formatStoreUrl,
  isProblem,
  parseStoreUrl,
  type StoreUrl,
} from "../../../../src/adapters/redis/store-url.ts";

const parsed = (text: string): StoreUrl => {
  const result = parseStoreUrl(text);
  if (isProblem(result)) throw new Error(`${text}: found ${result.found}`);
  return result;
};

const problemOf = (text: string): string => {
  const result = parseStoreUrl(text);
  return isProblem(result) ? `found ${result.found}; allowed: ${result.allowed}` : "none";
};

const PLAIN = {
  name: "",
  sentinelLogin: false,
  username: "",
  password: "",
  database: 0,
  tls: undefined,
};
const local = (port: number) => ({ host: "127.0.0.1", port });

const READ: readonly (readonly [string, StoreUrl])[] = [
  ["redis://127.0.0.1:7001", { ...PLAIN, kind: "single", hosts: [local(7001)] }],
  ["redis://127.0.0.1/", { ...PLAIN, kind: "single", hosts: [local(6379)] }],
  [
    "redis://[::1]:7001/3",
    { ...PLAIN, kind: "single", hosts: [{ host: "::1", port: 7001 }], database: 3 },
  ],
  [
    "redis://app:p%40ss%2Fw%3Ard@127.0.0.1/2",
    {
      ...PLAIN,
      kind: "single",
      hosts: [local(6379)],
      username: "app",
      password: "p@ss/w:rd",
      database: 2,
    },
  ],
  [
    "redis://:only:colons@127.0.0.1",
    { ...PLAIN, kind: "single", hosts: [local(6379)], password: "only:colons" },
  ],
  [
    "redis+sentinel://127.0.0.1,127.0.0.1:7002/mymaster/1",
    {
      ...PLAIN,
      kind: "sentinel",
      hosts: [local(26_379), local(7002)],
      name: "mymaster",
      database: 1,
    },
  ],
  [
    "redis+sentinel://:pw@127.0.0.1/main?login=same",
    {
      ...PLAIN,
      kind: "sentinel",
      hosts: [local(26_379)],
      name: "main",
      password: "pw",
      sentinelLogin: true,
    },
  ],
  [
    "redis+cluster://app@127.0.0.1:7001,127.0.0.1:7002",
    { ...PLAIN, kind: "cluster", hosts: [local(7001), local(7002)], username: "app" },
  ],
  [
    "rediss://127.0.0.1?ca=/etc/ca.pem&servername=redis.internal",
    {
      ...PLAIN,
      kind: "single",
      hosts: [local(6379)],
      tls: { ca: "/etc/ca.pem", cert: "", key: "", servername: "redis.internal" },
    },
  ],
  [
    "rediss+cluster://127.0.0.1:7001?cert=/a.pem&key=/a.key",
    {
      ...PLAIN,
      kind: "cluster",
      hosts: [local(7001)],
      tls: { ca: "", cert: "/a.pem", key: "/a.key", servername: "" },
    },
  ],
];

const REFUSED = [
  ["http://:hunter2@h", "something else"],
  ["hunter2", "something else"],
  ["redis:hunter2", "an address that is not of this form"],
  ["redis+ring://:hunter2@h", "an address that is not of this form"],
  ["redis://h:99999", "a host or port"],
  ["redis://h:0", "a host or port"],
  ["redis://:hunter2/x@h", "a host or port"],
  ["redis://", "a host or port"],
  ["redis://h1,h2", "2 hosts"],
  ["redis://h/hunter2", "a database that is no number"],
  ["redis+sentinel://h1,h2", "no name of the primary"],
  ["redis+cluster://h1/1", "a database"],
  ["redis://:50%hunter2@h", "a stray %"],
  ["redis://h?hunter2=1", "another parameter after ?"],
  ["redis://h?ca=hunter2", "another parameter after ?"],
  ["rediss://h?login=same", "another parameter after ?"],
  ["rediss+sentinel://h/main?login=hunter2", "another login"],
  ["rediss://h?cert=/a.pem", "one of cert and key"],
];

describe("an address of the store", () => {
  test.each(READ)("%s is read", (text, expected) => {
    expect(parsed(text)).toEqual(expected);
  });

  test.each([
    ["redis://user:hunter2@h:7001/3", "redis://h:7001/3"],
    ["rediss+sentinel://:hunter2@h:1,[::1]:2/main", "rediss+sentinel://h:1,[::1]:2/main"],
    ["redis+cluster://h", "redis+cluster://h:6379"],
  ])("%s is logged as %s", (text, logged) => {
    expect(formatStoreUrl(parsed(text))).toBe(logged);
  });

  test.each(REFUSED)(
    "%s is refused, and nothing of it that may be secret is repeated",
    (text, found) => {
      expect(problemOf(text)).toContain(found);
      expect(problemOf(text)).not.toContain("hunter2");
    },
  );
});
