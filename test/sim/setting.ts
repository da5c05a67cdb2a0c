/**
 * What a run is like, drawn from its seed before it begins: sizes, and which faults happen how often. Each fault is
 * left out of half of the runs, so that none hides behind another.
 *
 *   E0    the store loses nothing
 *   E1    failovers and split brain; every grant is confirmed before it is spent (`--confirm strict`)
 *   E2    failovers that lose up to 40 operations, loss of a shard; nothing is confirmed
 *   E3    total loss, the installation id gone too, and births
 *   calm  no faults at all: nobody may be refused what lies idle (L2)
 *
 * The assumptions that leases need stay true: a cut is shorter than learning in E2 (A1), shorter than a birth in
 * E3 (A1b); clocks drift less than 1 % and store clocks are ahead by less than the grace (A0).
 */
import type { LeaseTerms } from "../../src/core/lease/message.ts";
import { createChance } from "./chance.ts";

export const ENVIRONMENTS = ["E0", "E1", "E2", "E3", "calm"] as const;
export type Environment = (typeof ENVIRONMENTS)[number];

/** Which limits the load is about. */
export const LOADS = ["month", "dept", "once", "rate", "slots", "mix"] as const;
export type Load = (typeof LOADS)[number];

/** A twelfth of what is usual: more happens in a second. */
export const TERMS: LeaseTerms = { ttlMs: 800, graceMs: 250, learnMs: 1_500, strict: false };
export const BIRTH_MS = 600;

/** How long a run has load, and from when on nothing new goes wrong, ms. */
export const LOADED_MS = 7_000;
export const CALM_AFTER_MS = 4_500;
/** From when on everybody has heard what there was to hear, ms. */
export const HEALED_MS = 8_000;
/** Until when everything has come to rest, and until when everybody has drained. */
export const RESTED_MS = 11_000;
export const END_MS = 13_000;

export interface Setting {
  readonly environment: Environment;
  readonly load: Load;
  readonly terms: LeaseTerms;
  readonly hosts: number;
  /** Units of the period budget; the other limits follow. */
  readonly units: number;
  /** Length of its period, ms; 0: one that outlives the run. */
  readonly periodMs: number;
  readonly overage: "debt" | "cap" | "reject";
  readonly rate: { readonly units: number; readonly burst: number };
  readonly slots: number;
  /** Mean gap between the operations of one process, ms. */
  readonly gapMs: number;
  /** Longest cut of a host from the store, or absence, ms. */
  readonly cutMaxMs: number;
  readonly faults: Faults;
}

/** Intensities; 0: left out. Mostly the chance of one at each turn of the injector. */
export interface Faults {
  readonly drop: number;
  readonly duplicate: number;
  /** Mean of a long delay, ms. */
  readonly slow: number;
  readonly hintLoss: number;
  readonly crash: number;
  /** Chance of a crash in the middle of a turn, at each journal write. */
  readonly crashInTurn: number;
  readonly journalLoss: number;
  readonly torn: number;
  readonly reboot: number;
  readonly diskFull: number;
  readonly twin: number;
  readonly stop: number;
  readonly stall: number;
  readonly wallStep: number;
  readonly partition: number;
  readonly join: number;
  readonly drain: number;
  readonly reload: number;
  readonly clockBack: number;
  readonly clockAhead: number;
  readonly stuck: number;
  readonly refuse: number;
  readonly linkDown: number;
  readonly failover: number;
  readonly split: number;
  readonly shardLoss: number;
  readonly totalLoss: number;
  /** Drift of a host's clock, at most. */
  readonly drift: number;
  /** Share of commits above their hold, and of those that come late. */
  readonly overage: number;
  readonly late: number;
}

export interface SettingOptions {
  readonly environment: Environment;
  readonly load?: Load | undefined;
  /** Idle leases, long pauses, deaths, bursts: for mutants that die rarely. */
  readonly stress?: boolean | undefined;
  /** Nothing is drawn to go wrong: a directed schedule does it all. */
  readonly directed?: boolean | undefined;
}

const NO_FAULTS: Faults = {
  drop: 0,
  duplicate: 0,
  slow: 0,
  hintLoss: 0,
  crash: 0,
  crashInTurn: 0,
  journalLoss: 0,
  torn: 0,
  reboot: 0,
  diskFull: 0,
  twin: 0,
  stop: 0,
  stall: 0,
  wallStep: 0,
  partition: 0,
  join: 0,
  drain: 0,
  reload: 0,
  clockBack: 0,
  clockAhead: 0,
  stuck: 0,
  refuse: 0,
  linkDown: 0,
  failover: 0,
  split: 0,
  shardLoss: 0,
  totalLoss: 0,
  drift: 0,
  overage: 0,
  late: 0,
};

export function drawSetting(seed: number, options: SettingOptions): Setting {
  const chance = createChance(seed, "setting");
  const { environment } = options;
  const load = options.load ?? chance.pick([...LOADS, "month"] as const);
  const calm = environment === "calm";
  const drawn = drawFaults(seed, environment, options.stress ?? false);
  const stressed = options.stress === true && load === "month" && environment === "E0";
  const periodMs = chance.chance(0.4) ? 2_500 + chance.below(2_500) : 0;
  const setting: Setting = {
    environment,
    load,
    terms: { ...TERMS, strict: environment === "E1" },
    hosts: 2 + chance.below(5),
    units: calm ? 4_000 + chance.below(16_000) : 200 + chance.below(1_200),
    periodMs: stressed ? 1_200 + chance.below(1_500) : periodMs,
    overage: chance.pick(["debt", "debt", "cap", "reject"] as const),
    rate: { units: 3 + chance.below(40), burst: 6 + chance.below(40) },
    slots: 1 + chance.below(options.stress && chance.chance(0.5) ? 14 : 4),
    gapMs: calm ? 8 : 50,
    cutMaxMs:
      environment === "E2" ? TERMS.learnMs - 700 : environment === "E3" ? BIRTH_MS - 400 : 4_000,
    faults: drawn,
  };
  if (!options.directed) return setting;
  return { ...setting, hosts: 2, periodMs: 0, overage: "debt", faults: NO_FAULTS };
}

function drawFaults(seed: number, environment: Environment, stress: boolean): Faults {
  const chance = createChance(seed, "faults drawn");
  if (environment === "calm") return NO_FAULTS;
  const keeps = environment === "E0" || environment === "E1";
  /** Half of the runs have none of it; those where it cannot be have none either. */
  const some = (most: number, may = true): number => {
    const share = chance.chance(0.5) ? chance.next() * most : 0;
    return may ? share : 0;
  };
  const fails = environment === "E1" || environment === "E2";
  const failover = chance.chance(0.8) ? 0.15 + chance.next() * 0.5 : 0;
  const totalLoss = 0.15 + 0.3 * chance.next();
  const drawn: Faults = {
    drop: some(0.3),
    duplicate: some(0.3),
    slow: some(300),
    hintLoss: some(1),
    crash: some(0.4),
    crashInTurn: some(0.004),
    journalLoss: some(0.3, keeps),
    torn: some(0.3, keeps),
    reboot: some(0.3, keeps),
    diskFull: some(0.2, keeps),
    twin: 0, // a copied journal breaks an assumption (A2): only to see what that costs
    stop: some(0.5),
    stall: some(0.3),
    wallStep: some(0.2),
    partition: some(0.5),
    join: some(0.3),
    drain: some(0.3, keeps), // who has gone cannot tell a store that forgot what it had heard (A1)
    reload: some(0.5),
    clockBack: some(0.3),
    clockAhead: some(0.3),
    stuck: some(0.3),
    refuse: some(0.3),
    linkDown: some(0.3, environment === "E1"),
    failover: fails ? failover : 0,
    split: some(0.5, environment === "E1"),
    shardLoss: some(0.2, environment === "E2"),
    totalLoss: environment === "E3" ? totalLoss : 0,
    drift: some(0.009),
    overage: some(0.3),
    late: some(0.2),
  };
  if (!stress) return drawn;
  return {
    ...drawn,
    stop: 0.5,
    stall: 0.5,
    partition: 0.4,
    slow: 300,
    crash: 0.3,
    join: 0.3,
    hintLoss: 0,
    journalLoss: keeps ? 0.3 : 0,
  };
}
