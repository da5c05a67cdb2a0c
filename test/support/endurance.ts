/**
 * A store is lost under load and comes back: agents go on, and afterwards their books and the store's are compared.
 * Whatever becomes of the store, nobody spends more than there is, nothing that was acknowledged is forgotten, what
 * is left can be had, and everybody was told.
 */
import { availableParallelism, loadavg } from "node:os";
import { expect } from "vitest";
import { startAgents } from "./agents.ts";
import { audit, mergeBooks, type Books } from "./client-books.ts";
import type { Fleet, FleetMember, LogLine } from "./fleet-sidecars.ts";

export const LOST = "store lost: serving from what is leased";
export const LEARNS =
  "store may have lost data and learns what was used: serving from what is leased";
export const BACK = "store back";
const STORE_UNAVAILABLE = 10;

/** A time that the documentation promises can be measured on a machine that has time. */
export const isQuiet = (): boolean => (loadavg()[0] ?? 0) < availableParallelism();

/** Shows it, and holds the machine to it if it is quiet. */
export function withinTime(what: string, ms: number, promisedMs: number): void {
  const isHeld = isQuiet();
  const why = isHeld ? "" : ": not held to it, the machine is busy";
  console.log(`${what}: ${ms.toFixed()} ms of ${promisedMs}${why}`);
  if (isHeld) expect(ms).toBeLessThanOrEqual(promisedMs);
}

export interface Ordeal {
  /** What is done to the store. */
  readonly lose: () => Promise<unknown>;
  /** It cannot be reached then, until this has been done; absent: it goes on at once, without its data. */
  readonly restore?: () => Promise<unknown>;
  /** It may be over before a lease is used up, and before anybody can look. */
  readonly isShort?: boolean;
  /** Then it grants again within so long, ms. */
  readonly promisedMs: number;
}

/** What agents spend meanwhile: they take half a minute for it. */
const TENANT = "acme";
const BUDGET = 200_000;
export const ENDURED_POLICY = `
tenants:
  ${TENANT}:
    limits:
      - {name: month, meter: tokens, budget: {units: ${BUDGET}, period: month}}
`;

export interface Endurance {
  readonly fleet: Fleet;
  readonly tenant: string;
  readonly budget: number;
}

const PACE = { isKeyed: true, thinkMs: 400, patienceMs: 60_000 };

/** `fleet`: under {@link ENDURED_POLICY}. */
export async function endure(fleet: Fleet, ordeal: Ordeal): Promise<Books> {
  const { members } = fleet;
  const { lose, restore, isShort = false, promisedMs } = ordeal;
  const agents = startAgents(members, { ...PACE, tenant: TENANT });
  await agents.admitted(30);
  await lose();
  let since = performance.now();
  if (restore) {
    await Promise.all(members.map((member) => member.says(LOST)));
    if (!isShort) {
      await tellsOfIt(fleet);
      await agents.sees(({ refusals }) => refusals.some(isLost));
    }
    await restore();
    since = performance.now();
    await Promise.all(members.map((member) => member.says(BACK)));
  }
  if (!restore) {
    await everybodyIs(fleet, 1);
    for (const member of members) expect(await member.ready()).toMatch(/store: .*: .*, degraded/);
  }
  await everybodyIs(fleet, 0);
  withinTime("the store grants again", performance.now() - since, promisedMs);
  await agents.admitted(30);
  await agents.stop();
  await everybodyIs(fleet, 0);
  for (const member of members) await saysSo(member);
  const last = startAgents(members, { tenant: TENANT });
  await last.done;
  const books = mergeBooks([agents.books, last.books]);
  await balances({ fleet, tenant: TENANT, budget: BUDGET }, books);
  return books;
}

const isLost = ({ reason, degraded }: Books["refusals"][number]): boolean =>
  reason === STORE_UNAVAILABLE && degraded;

/** One line when it is lost, and one when units are to be had again; a machine that is busy may lose it more often. */
async function saysSo(member: FleetMember): Promise<void> {
  const lost = [...member.said(LOST), ...member.said(LEARNS)];
  const back = member.said(BACK);
  const at = ({ time }: LogLine): number => Date.parse(String(time));
  expect(Math.max(...back.map(at))).toBeGreaterThanOrEqual(Math.max(...lost.map(at)));
  if (lost.length > 1) console.log(`${member.name}:`, lost.map(({ cause }) => cause).join(" | "));
  if (isQuiet()) expect([lost.length, back.length]).toEqual([1, 1]);
  expect(await member.metric("imprest_store_up")).toBe(1);
}

/** While it is lost. */
async function tellsOfIt({ members }: Fleet): Promise<void> {
  for (const member of members) {
    expect(await member.metric("imprest_store_up")).toBe(0);
    expect(await member.metric("imprest_degraded")).toBe(1);
    expect(await member.ready()).toMatch(/store: .*: .*, degraded/);
  }
}

/** Resolves when every sidecar says that it is degraded, or that it is not. */
async function everybodyIs({ members }: Fleet, degraded: 0 | 1): Promise<void> {
  await Promise.all(
    members.map(async (member) => {
      while ((await member.metric("imprest_degraded")) !== degraded) {
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    }),
  );
}

/** What clients were told is what the store has, to the unit. */
export async function balances({ fleet, tenant, budget }: Endurance, books: Books): Promise<void> {
  const { most, surely, perhaps } = audit(books, budget, Infinity);
  console.log(`at most ${most}, charged ${books.charged} of ${budget}`);
  expect(most).toBeLessThanOrEqual(budget);
  expect([surely, perhaps]).toEqual([books.charged, books.charged]);
  expect(books.charged).toBeGreaterThanOrEqual(0.995 * budget);
  await Promise.all(fleet.members.map((member) => member.drain()));
  const [ledger] = await fleet.ledgers(tenant);
  expect(ledger).toMatchObject({ spent: books.charged, leased: 0, quarantined: 0 });
}
