/**
 * `imprest ledger`: the store's own account of a tenant, for an operator: what is leased by whom, what dead sidecars
 * left behind, and setting it right by hand. What changes something tells first what it would do, does it with
 * `--yes` alone, and leaves a line of JSON on standard error: who, what, before and after.
 */
import { hostname, userInfo } from "node:os";
import { createLog } from "../adapters/log/pino.ts";
import { formatStoreUrl } from "../adapters/redis/store-url.ts";
import type { Operation, Visit } from "../adapters/redis/visit.ts";
import type { StoreFault } from "../ports/lease-store.ts";
import { defineCommand, type Command } from "./command.ts";
import type { Problem } from "./configuration.ts";
import { many, optional, required, toggle, type Values } from "./flag.ts";
import type { Host } from "./host.ts";
import { inkFor, onOneLine } from "./ink.ts";
import { showLedgers, viewOf, type LedgerEntry } from "./ledger-view.ts";
import { matching, tenantName, text } from "./reader.ts";
import { checkStore, SHARED_STORE_FLAGS } from "./store-flags.ts";
import { withStore } from "./store-visit.ts";

const WHOSE = {
  tenant: optional("NAME", "The tenant, where the policy gives it no uid of its own.", tenantName),
  uid: optional("UID", "What its usage is kept under; /platform for the platform's limits.", text),
  per: many(
    "VALUE",
    "Of a limit with `per`, this bucket alone: its values as they are listed, the flag once for each.",
    text,
  ),
  period: optional("LABEL", "This period alone, such as 2026-11.", text),
};
const LIMIT_HELP = "This limit alone, by its name in the policy.";
const SHOW = { json: toggle("Print one JSON object instead of lines.") };
const YES = toggle("Do it. Without it, what would be done is told, and nothing is changed.");

const EXITS = {
  0: "done",
  1: "the store does not answer, or there is no such ledger",
  2: "a configuration error; nothing was asked",
};
const NO_LEDGER = "the store has no such ledger";
const CHANGE_EXITS = { ...EXITS, 3: "something would change, and --yes was not said" };

type Shown = Values<typeof SHOW>;
type Whose = Partial<Values<typeof WHOSE>>;

function checkWhose({ tenant, uid }: Whose): readonly Problem[] {
  if ((tenant === undefined) !== (uid === undefined)) return [];
  const found = tenant === undefined ? "neither" : "both";
  return [{ where: "--tenant, --uid", found, allowed: "one of them" }];
}

const isEverybody = ({ tenant, uid }: Whose): boolean => tenant === undefined && uid === undefined;

const uidOf = ({ tenant, uid }: Whose): string => uid ?? tenant ?? "";

const SHOW_FLAGS = {
  ...WHOSE,
  limit: optional("NAME", LIMIT_HELP, text),
  ...SHOW,
  ...SHARED_STORE_FLAGS,
};

export const ledgerShow: Command = defineCommand({
  name: "ledger show",
  about:
    "Shows the ledgers of a tenant, or of everybody, in the store: what is spent, what is leased by which sidecar and since when, and what is held back because its sidecar died (quarantine).",
  flags: SHOW_FLAGS,
  exits: EXITS,
  check: ({ values }) => [
    ...(isEverybody(values) ? [] : checkWhose(values)),
    ...checkStore(values),
  ],
  examples: [
    { line: "imprest ledger show --store redis://127.0.0.1:6379", says: "All there is." },
    {
      line: "imprest ledger show --store redis://127.0.0.1:6379 --tenant acme",
      says: "All of one tenant.",
    },
    {
      line: "imprest ledger show --store redis://h --uid t-1f3a --limit dollars-per-month --json",
      says: "One limit, for a program.",
    },
  ],
  run: (host, { values }) =>
    withStore(host, "ledger show", values, async (visit) => {
      if (isEverybody(values)) return showAll(host, visit, values);
      const found = await find(visit, values);
      if ("fault" in found) return fail(host, "ledger show", found.fault);
      const ledgers = found.map(({ entry }) => entry);
      if (values.json) host.stdout.write(`${JSON.stringify({ uid: uidOf(values), ledgers })}\n`);
      if (ledgers.length === 0) return fail(host, "ledger show", NO_LEDGER);
      if (!values.json) host.stdout.write(showLedgers(ledgers, inkFor(host)));
      return 0;
    }),
});

/** Tenant by tenant. */
async function showAll(host: Host, visit: Visit, values: Asked & Shown): Promise<number> {
  const uids = await visit.uids();
  if ("fault" in uids) return fail(host, "ledger show", uids.fault);
  const tenants: { readonly uid: string; readonly ledgers: readonly LedgerEntry[] }[] = [];
  for (const uid of uids) {
    const found = await find(visit, { ...values, uid });
    if ("fault" in found) return fail(host, "ledger show", found.fault);
    if (found.length > 0) tenants.push({ uid, ledgers: found.map(({ entry }) => entry) });
  }
  const ink = inkFor(host);
  const lines = tenants.map(
    ({ uid, ledgers }) => `${ink("dim", uid)}\n${showLedgers(ledgers, ink)}`,
  );
  const text = lines.length === 0 ? "The store has no ledgers.\n" : lines.join("");
  host.stdout.write(values.json ? `${JSON.stringify({ tenants })}\n` : text);
  return 0;
}

const RESOLVE_FLAGS = {
  ...SHOW_FLAGS,
  // Not --holder: next to a sidecar its variable holds that sidecar's label.
  lease: optional(
    "ID",
    "Of this dead lease alone, by the id that `ledger show` lists.",
    matching(/^[0-9a-f]{32}$/, "32 hexadecimal digits"),
  ),
  yes: YES,
};

export const ledgerResolve: Command = defineCommand({
  name: "ledger resolve",
  about:
    "Gives back what dead sidecars had, as if they had returned it. Only for sidecars that will never come back: what they did spend and could not report is then not counted.",
  flags: RESOLVE_FLAGS,
  exits: CHANGE_EXITS,
  check: ({ values }) => [...checkWhose(values), ...checkStore(values)],
  examples: [
    {
      line: "imprest ledger resolve --store redis://h --tenant acme",
      says: "What would come back?",
    },
    { line: "imprest ledger resolve --store redis://h --tenant acme --yes", says: "Take it back." },
  ],
  run: (host, { values }) => {
    const operation = { op: "resolve", holder: values.lease ?? "" } as const;
    return withStore(host, "ledger resolve", values, (visit) =>
      change(host, visit, values, operation),
    );
  },
});

export const ledgerReset: Command = defineCommand({
  name: "ledger reset",
  about:
    "Begins a limit's account anew: nothing spent, nothing owed, nothing in quarantine. What live sidecars have leased stays theirs.",
  flags: { ...SHOW_FLAGS, limit: required("NAME", LIMIT_HELP, text), yes: YES },
  exits: CHANGE_EXITS,
  check: ({ values }) => [...checkWhose(values), ...checkStore(values)],
  examples: [
    {
      line: "imprest ledger reset --store redis://h --tenant acme --limit dollars-per-month --yes",
      says: "acme may spend its month once more.",
    },
    {
      line: "imprest ledger reset --store redis://h --tenant acme --limit dollars-per-user --per u-7 --yes",
      says: "Of a limit for each user, only that of u-7.",
    },
  ],
  run: (host, { values }) =>
    withStore(host, "ledger reset", values, (visit) =>
      change(host, visit, values, { op: "reset", holder: "" }),
    ),
});

interface Found {
  readonly key: string;
  readonly entry: LedgerEntry;
}

interface Asked extends Whose {
  readonly limit: string | undefined;
}

/** Those that were asked for. */
async function find(visit: Visit, asked: Asked): Promise<readonly Found[] | StoreFault> {
  const listings = await visit.ledgers(uidOf(asked));
  if ("fault" in listings) return listings;
  return listings
    .map((listing) => ({ key: listing.key, entry: viewOf(listing) }))
    .filter(({ entry }) => asked.limit === undefined || entry.limit === asked.limit)
    .filter(({ entry }) => isOf(entry, asked.per ?? []))
    .filter(({ entry }) => asked.period === undefined || entry.period === asked.period);
}

const isOf = ({ per }: LedgerEntry, values: readonly string[]): boolean =>
  values.length === 0 ||
  (per.length === values.length && per.every((value, i) => value === values[i]));

interface Change extends Asked {
  readonly yes: boolean;
  readonly json: boolean;
  readonly store: Values<typeof SHARED_STORE_FLAGS>["store"];
}

async function change(
  host: Host,
  visit: Visit,
  asked: Change,
  operation: Operation,
): Promise<number> {
  const uid = uidOf(asked);
  const command = `ledger ${operation.op}`;
  const all = await find(visit, asked);
  if ("fault" in all) return fail(host, command, all.fault);
  if (all.length === 0) return fail(host, command, NO_LEDGER);
  const touched = all.filter(({ entry }) => concerns(entry, operation));
  const tell = (ledgers: readonly LedgerEntry[], done: boolean, says: string): void => {
    const text = asked.json
      ? JSON.stringify({ uid, done, ledgers })
      : `${showLedgers(ledgers, inkFor(host))}${says}`;
    host.stdout.write(`${text}\n`);
  };
  if (touched.length === 0) {
    tell([], true, "Nothing to do.");
    return 0;
  }
  if (!asked.yes) {
    const before = touched.map(({ entry }) => entry);
    tell(before, false, `Nothing was changed: with --yes, ${PROMISES[operation.op]}.`);
    return 3;
  }
  const audit = auditOf(host, asked, operation);
  const after: LedgerEntry[] = [];
  for (const { key, entry } of touched) {
    const result = await visit.operate(uid, key, operation);
    if (typeof result === "object") return fail(host, command, result.fault);
    const now = await visit.ledgers(uid, key);
    const [shown] = "fault" in now ? [] : now.map(viewOf);
    audit(entry, shown);
    if (shown !== undefined) after.push(shown);
  }
  tell(after, true, "Done.");
  return 0;
}

const PROMISES = {
  resolve: "what is dead here comes back",
  reset: "these begin anew",
} as const;

function fail(host: Host, command: string, why: string): 1 {
  host.stderr.write(`imprest ${command}: ${onOneLine(why)}\n`);
  return 1;
}

/** Who did what: a line for each ledger, of what it was and what it is. */
function auditOf(
  host: Host,
  asked: Change,
  { op, holder: lease }: Operation,
): (before: LedgerEntry, after: LedgerEntry | undefined) => void {
  const log = createLog({
    level: "info",
    holder: hostname(),
    stream: { write: (line: string) => host.stderr.write(line) },
  });
  const { username: user } = userInfo();
  const common = { user, store: formatStoreUrl(asked.store), uid: uidOf(asked), lease };
  return (before, after) => log.info({ ...common, before, after }, `ledger ${op}`);
}

/** Whether there is something to resolve; a reset always changes something. */
const concerns = ({ quarantined, holders }: LedgerEntry, { op, holder }: Operation): boolean =>
  op === "reset" ||
  (holder === "" && quarantined > 0) ||
  holders.some(({ id, state }) => state === "dead" && (holder === "" || id === holder));
