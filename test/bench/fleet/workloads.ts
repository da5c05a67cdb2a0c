/** What a fleet is asked: how many sidecars, which limits, who asks when. Times in ms. */
export interface Workload {
  readonly title: string;
  readonly kind: "budget" | "rate" | "slots";
  readonly replicas: number;
  /** Of each limit: units of a budget, burst of a rate, slots. */
  readonly capacity: number;
  /** Units a second of a rate. */
  readonly refill?: number;
  readonly lasts: number;
  /** Requests a second of one sidecar at a time. */
  readonly rate: (replica: number, at: number) => number;
  /** How widely amounts spread: lognormal, mean 1,000. */
  readonly sigma?: number;
  /** Of one unit each, and more than a third of them is released unused. */
  readonly isCounted?: boolean;
  /** Sidecars are silent most of the time, and ask in bursts. */
  readonly isBursty?: boolean;
  /** Limits, and the chance that an operation meets one of them. */
  readonly levels?: number;
  readonly pick?: number;
}

/** Shares of `count` sidecars, the first the largest. */
function zipf(count: number, slope: number): (replica: number) => number {
  const weights = Array.from({ length: count }, (_, i) => 1 / (i + 1) ** slope);
  const sum = weights.reduce((a, b) => a + b);
  return (replica) => (weights[replica] ?? 0) / sum;
}

const FEW = zipf(20, 1.2);
const MANY = zipf(50, 1.2);
const FLAT = zipf(50, 1);
const steady = (rate: number) => () => rate;

const budget = { kind: "budget", lasts: 75_000, replicas: 50, capacity: 40e6 } as const;
const short = {
  kind: "budget",
  lasts: 25_000,
  replicas: 20,
  capacity: 3e6,
  rate: steady(20),
} as const;
/** 500 requests of 1,000 units a second. */
const rate = { kind: "rate", lasts: 40_000, replicas: 50, capacity: 1e6, refill: 500e3 } as const;

export const WORKLOADS: Readonly<Record<string, Workload>> = {
  B1: { ...budget, title: "50 sidecars alike", rate: steady(20) },
  B2: { ...budget, title: "some busier than others", rate: (i) => 1_000 * MANY(i) },
  B3: {
    ...budget,
    title: "all, then three of them",
    lasts: 60_000,
    capacity: 16e6,
    rate: (i, at) => (at < 10_000 ? 20 : i < 3 ? 120 : 0),
  },
  B4: {
    ...budget,
    title: "the busy ones change",
    rate: (i, at) => 1_000 * MANY(at < 20_000 ? i : 49 - i),
  },
  B5: {
    ...budget,
    title: "bursts, wide amounts",
    capacity: 18e6,
    sigma: 1.4,
    isBursty: true,
    rate: steady(60),
  },
  B6: {
    ...budget,
    title: "500 requests in all",
    capacity: 500e3,
    lasts: 50_000,
    rate: (i) => 25 * FLAT(i),
  },
  ONE: {
    ...budget,
    title: "one of three sidecars",
    replicas: 3,
    lasts: 50_000,
    capacity: 16e6,
    rate: (i, at) => (i === 0 ? 1_000 : at < 5_000 ? 50 : 0),
  },
  PLENTY: {
    ...budget,
    title: "lasts much longer",
    replicas: 20,
    lasts: 120_000,
    capacity: 100e6,
    rate: steady(20),
  },
  L1: { ...short, title: "20 sidecars, 12 s" },
  L2: { ...short, title: "two limits in each", levels: 2 },
  L4: { ...short, title: "four limits in each", levels: 4 },
  M2: { ...short, title: "two limits, p = 0.7", levels: 2, pick: 0.7 },
  M3: { ...short, title: "three limits, p = 0.7", levels: 3, pick: 0.7 },
  M4: { ...short, title: "four limits, p = 0.7", levels: 4, pick: 0.7 },
  Z4: {
    ...short,
    title: "uneven, wide, p = 0.6",
    sigma: 1.2,
    rate: (i) => 400 * FEW(i),
    levels: 4,
    pick: 0.6,
  },
  T4: {
    ...short,
    title: "40 requests in all",
    capacity: 40e3,
    lasts: 12_000,
    rate: steady(5),
    levels: 4,
  },
  Q1: {
    ...short,
    title: "100 requests of one unit",
    isCounted: true,
    capacity: 100,
    rate: steady(5),
  },
  Q4: {
    ...short,
    title: "40, four limits in each",
    isCounted: true,
    capacity: 40,
    rate: steady(5),
    levels: 4,
  },
  R1: { ...rate, title: "a rate at 90 %", rate: (i) => 450 * MANY(i) },
  R2: {
    ...rate,
    title: "at 90 %, busy ones change",
    rate: (i, at) => 450 * MANY(at < 20_000 ? i : 49 - i),
  },
  R3: { ...rate, title: "a rate at 150 %", rate: steady(15) },
  R4: {
    ...rate,
    title: "20 a minute, 50 sidecars",
    lasts: 240_000,
    capacity: 20e3,
    refill: 1e3 / 3,
    sigma: 0,
    rate: steady(0.012),
  },
  C1: {
    kind: "slots",
    title: "100 slots, 160 wanted",
    replicas: 20,
    capacity: 100,
    lasts: 30_000,
    rate: steady(10),
  },
  C2: {
    kind: "slots",
    title: "10 slots, busy ones change",
    replicas: 20,
    capacity: 10,
    lasts: 30_000,
    rate: (i, at) => 20 * FEW(at < 15_000 ? i : 19 - i),
  },
};
