/**
 * A visit to a store by hand: what it is, whether anything is missing there, and what lies in its ledgers. Unlike a
 * sidecar a visitor does not go on trying: after a few seconds it is told what is wrong.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { listingOf, type LedgerListing } from "../../core/lease/inspect.ts";
import { isOpened } from "../../core/lease/ledger.ts";
import { BIRTH_MS } from "../../core/lease/message.ts";
import type { Units } from "../../core/units.ts";
import type { StoreFault } from "../../ports/lease-store.ts";
import type { Rng } from "../../ports/rng.ts";
import { decodeOperation, decodeViews, encodeOperation, encodeViews } from "./codec.ts";
import { confirmFindings } from "./confirm.ts";
import { openDeployment, type StoreAccess } from "./deployment.ts";
import type { Finding } from "./inspection.ts";
import { createInstallation, ID_KEY } from "./installation.ts";
import { ANY_LEDGER, decodeKey, keyOf, shardOf, tagOf } from "./keys.ts";
import type { Outcome } from "./link.ts";
import type { Primary } from "./primary.ts";
import { formatHost, formatStoreUrl } from "./store-url.ts";
import { readLedger } from "./written-ledger.ts";

/** How long servers have to answer. */
const PATIENCE_MS = 5_000;
const LOOK_EVERY_MS = 20;
/** Keys that a SCAN looks at in one step. */
const SCAN_STEP = 1_000;

export interface ServerReport {
  readonly server: string;
  /** "7.0.15"; "" where it does not answer. */
  readonly version: string;
  /** Connected ones. */
  readonly replicas: number;
  readonly findings: readonly Finding[];
}

/** What an operator does to a ledger by hand. */
export interface Operation {
  readonly op: "resolve" | "reset";
  /** Of a lease; "": all that are dead. */
  readonly holder: string;
}

export interface Visit {
  /** Every server that has shards, or the one that cannot be reached. */
  servers(): readonly ServerReport[];
  /** "auto", "strict" or "off" of the fleet that it was prepared for; "": it has not been. */
  mode(): Promise<string | StoreFault>;
  /** Its time, epoch milliseconds. */
  clock(): Promise<number | StoreFault>;
  /** Opens all shards, and waits until they grant. Told what speaks against it; "": nothing. */
  prepare(): Promise<string>;
  /** Under what anybody's usage is kept, in order. Looks at every key of the store. */
  uids(): Promise<readonly string[] | StoreFault>;
  /** All ledgers of a tenant by key, or that one; those that nobody uses any more too. */
  ledgers(uid: string, key?: string): Promise<readonly LedgerListing[] | StoreFault>;
  /** Units that are out of quarantine; undefined: there is no such ledger. */
  operate(uid: string, key: string, operation: Operation): Promise<Units | undefined | StoreFault>;
  close(): void;
}

export interface VisitOptions extends StoreAccess {
  readonly label: string;
  readonly rng: Rng;
}

/** Resolves when every server has answered, or has had its time. @throws where a file cannot be read */
export async function visitStore(options: VisitOptions): Promise<Visit> {
  const { url, confirm, rng } = options;
  const ignore = (): void => undefined;
  const deployment = openDeployment({
    ...options,
    events: {
      onReady: () => deployment.topology.primaries().forEach((one) => void one.beat([])),
      onChange: ignore,
      onNews: ignore,
      onTrip: ignore,
      onAlarm: ignore,
    },
  });
  const { topology } = deployment;
  const isKnown = (): boolean => {
    const causes = topology.primaries().map((primary) => primary.health().cause);
    return causes.length === 0 ? topology.cause() !== undefined : !causes.includes(undefined);
  };
  const until = performance.now() + PATIENCE_MS;
  while (!isKnown() && performance.now() < until) await sleep(LOOK_EVERY_MS);

  const report = (primary: Primary): ServerReport => {
    const { cause = "it does not answer", replication } = primary.health();
    const inspection = primary.inspection();
    const isReached = inspection !== undefined && replication !== undefined;
    const findings = isReached
      ? [...inspection.findings, ...confirmFindings(confirm, replication)]
      : [];
    const isSaid = cause === "" || findings.some(({ isFatal }) => isFatal);
    return {
      server: primary.node === undefined ? formatStoreUrl(url) : formatHost(primary.node),
      version: inspection?.version ?? "",
      replicas: replication?.online ?? 0,
      findings: isSaid ? findings : [{ isFatal: true, text: cause }, ...findings],
    };
  };

  async function mode(): Promise<string | StoreFault> {
    const id = await deployment.askForId(["GET", ID_KEY]);
    if (id.kind !== "reply") return { fault: id.error };
    return typeof id.reply === "string" ? id.reply.slice(id.reply.lastIndexOf(":") + 1) : "";
  }

  /** What the script of views and a ledger's own fields say together. */
  async function listed(uid: string, key: string): Promise<LedgerListing | undefined | StoreFault> {
    const tag = tagOf(shardOf(uid));
    const routed = await deployment.send(uid, encodeViews(tag, [key], ""));
    if ("fault" in routed) return routed;
    const [view] = decodeViews([key], routed.reply);
    const name = keyOf(tag, "L", key);
    const [fields] = (await deployment.ownerOf(name)?.control.run([["HGETALL", name]])) ?? [];
    if (fields?.kind !== "reply") return { fault: fields?.error ?? "no server has this shard" };
    const ledger = pairsOf(fields.reply);
    return !isOpened(view) || !ledger.has("ledger")
      ? undefined
      : listingOf(readLedger(key, ledger), view);
  }

  return {
    servers() {
      const reports = topology.primaries().map(report);
      if (reports.length > 0) return reports;
      const text = topology.cause() ?? "no server answers";
      const server = formatStoreUrl(url);
      return [{ server, version: "", replicas: 0, findings: [{ isFatal: true, text }] }];
    },
    mode,
    async clock() {
      const time = await deployment.askForId(["TIME"]);
      if (time.kind !== "reply") return { fault: time.error };
      const [seconds = 0, micros = 0] = Array.isArray(time.reply) ? time.reply.map(Number) : [];
      return seconds * 1_000 + micros / 1_000;
    },
    async prepare() {
      const installation = createInstallation({
        confirm,
        learnMs: BIRTH_MS,
        isHeir: false,
        mint: () => rng.id(),
        deployment,
        onNews: ignore,
        onBorn: ignore,
      });
      let isBorn = false;
      for (let tries = 0; tries < 2; tries += 1) {
        const id = await deployment.askForId(["GET", ID_KEY]);
        if (id.kind !== "reply") return id.error;
        isBorn ||= id.reply === null;
        await installation.hear(id);
        if (installation.cause() !== undefined) break; // else another one was faster
      }
      if (isBorn && installation.cause() === "") await sleep(BIRTH_MS);
      return installation.cause() ?? "another one prepares it at this moment";
    },
    async uids() {
      const found = new Set<string>();
      for (const primary of topology.primaries()) {
        const keys = await scan(primary, ANY_LEDGER);
        if ("fault" in keys) return keys;
        for (const key of keys) found.add(key.split("\0", 1)[0] ?? "");
      }
      return [...found].toSorted();
    },
    async ledgers(uid, key) {
      const tag = tagOf(shardOf(uid));
      const prefix = keyOf(tag, "L", uid);
      const owner = deployment.ownerOf(prefix);
      if (owner === undefined) return { fault: topology.cause() ?? "no server has this shard" };
      const keys = key === undefined ? await scan(owner, `${prefix}/*`) : [key];
      if ("fault" in keys) return keys;
      const listings: LedgerListing[] = [];
      for (const each of keys) {
        const listing = await listed(uid, each);
        if (listing === undefined) continue;
        if ("fault" in listing) return listing;
        listings.push(listing);
      }
      return listings;
    },
    async operate(uid, key, operation) {
      const words = encodeOperation(key, operation, deployment.writeOptions(uid));
      const routed = await deployment.send(uid, words);
      return "fault" in routed ? routed : decodeOperation(routed.reply);
    },
    close: () => deployment.close(),
  };
}

/** Keys of ledgers whose names match, in order. */
async function scan(primary: Primary, pattern: string): Promise<readonly string[] | StoreFault> {
  const names = new Set<string>();
  let cursor = "0";
  do {
    const words = ["SCAN", cursor, "MATCH", pattern, "COUNT", SCAN_STEP];
    const [outcome]: readonly Outcome[] = await primary.control.run([words]);
    if (outcome?.kind !== "reply") return { fault: outcome?.error ?? "no answer" };
    const [next, found] = outcome.reply as readonly [string, readonly string[]];
    for (const name of found) names.add(name);
    cursor = next;
  } while (cursor !== "0");
  return [...names].toSorted().map((name) => decodeKey(name.slice(name.indexOf(":L:") + 3)));
}

function pairsOf(reply: unknown): ReadonlyMap<string, string> {
  const words = Array.isArray(reply) ? reply.map(String) : [];
  const pairs = new Map<string, string>();
  for (let i = 0; i + 1 < words.length; i += 2) pairs.set(words[i] ?? "", words[i + 1] ?? "");
  return pairs;
}
