/** How the demo looks: a line that is rewritten on a terminal, a plain log elsewhere, then a table. */
import type { Host } from "../host.ts";
import { inkFor, table, type Ink } from "../ink.ts";
import { reasonOf } from "./answer.ts";
import type { Replay, Tally } from "./replay.ts";
import { type Balances, type Claim, formatCount, formatUsd, totalMicros } from "./story.ts";
import { LOOP_RUN, LOOP_TENANT, type Side, TENANTS } from "./traffic.ts";
import type { Unguarded } from "./unguarded.ts";

/** Nine in the morning: when the replayed day starts. */
const START_SECONDS = 9 * 3600;
const REDRAW_MS = 100;
const ERASE_LINE = "\r\u001b[2K";

export interface Screen {
  line(text: string): void;
  /** Tells what has newly happened, and how far it is. */
  progress(atSeconds: number, replay: Replay): void;
  /** Takes the rewritten line away. */
  endProgress(): void;
  readonly ink: Ink;
}

export const clockOf = (atSeconds: number): string => {
  const minutes = Math.floor((START_SECONDS + atSeconds) / 60);
  return [Math.floor(minutes / 60) % 24, minutes % 60]
    .map((n) => String(n).padStart(2, "0"))
    .join(":");
};

export function createScreen(host: Pick<Host, "stdout" | "env">): Screen {
  const { stdout } = host;
  const ink = inkFor(host);
  let drawnAt = 0;
  let hour = 0;
  let open = false;
  const told = new Set<string>();
  const endProgress = () => {
    if (open) stdout.write(ERASE_LINE);
    open = false;
  };
  const line = (text: string) => {
    endProgress();
    stdout.write(`${text}\n`);
  };
  return {
    line,
    endProgress,
    ink,
    progress(atSeconds, replay) {
      for (const [id, spell] of milestones(atSeconds, replay)) {
        if (told.has(id)) continue;
        told.add(id);
        line(ink("bold", spell()));
      }
      if (stdout.isTty) {
        const now = performance.now();
        if (now - drawnAt < REDRAW_MS) return;
        drawnAt = now;
        open = true;
        stdout.write(
          ERASE_LINE + statusLine(atSeconds, replay).slice(0, (stdout.columns() ?? 80) - 1),
        );
      } else if (Math.floor(atSeconds / 3600) > hour) {
        hour = Math.floor(atSeconds / 3600);
        line(statusLine(atSeconds, replay));
      }
    },
  };
}

/** What can have happened by now, each with how to tell it: at most one of each is ever told. */
function* milestones(
  atSeconds: number,
  replay: Replay,
): Generator<readonly [string, () => string]> {
  const { seenAtCall, seenAtMicros, stopped } = replay;
  if (seenAtCall !== undefined) {
    const spell = () =>
      `same-call (on trial) sees the loop at call ${seenAtCall}, ${formatUsd(seenAtMicros)} spent`;
    yield ["seen", () => `${clockOf(atSeconds)}  ${spell()}`];
  }
  if (stopped !== undefined) {
    yield ["stopped", () => `${clockOf(stopped.atSeconds)}  ${spellRefusal(stopped)}`];
  }
}

function spellRefusal({ call, denial }: NonNullable<Replay["stopped"]>): string {
  const left = formatUsd(Number(denial.remainingUnits));
  const limit = formatUsd(Number(denial.limitUnits));
  return `${denial.limit} refuses the loop's call ${call}: ${reasonOf(denial)}, ${left} left of ${limit}`;
}

/** Fits into eighty columns. */
function statusLine(atSeconds: number, { tallies: { loop, others } }: Replay): string {
  const loopCalls =
    loop.refused === 0
      ? `${formatCount(loop.admitted)} calls`
      : `${formatCount(loop.refused)} refused`;
  const othersCalls = `${formatCount(others.admitted)} calls, ${formatCount(others.refused)} refused`;
  return [
    `${clockOf(atSeconds)}  loop: ${formatUsd(loop.spentMicros)}, ${loopCalls}`,
    `other ${TENANTS - 1}: ${formatUsd(others.spentMicros)}, ${othersCalls}`,
  ].join(" · ");
}

export interface Outcome {
  readonly replay: Replay;
  readonly balances: Balances;
  readonly unguarded: Unguarded;
  readonly claims: readonly Claim[];
}

const REPLICA_COLUMNS = [
  { title: "" },
  { title: "admitted", right: true },
  { title: "refused", right: true },
  { title: "spent", right: true },
];

function drawReplicas(screen: Screen, replicas: readonly Tally[]): void {
  const rows = replicas.map(({ admitted, refused, spentMicros }, i) => {
    const counts = [admitted, refused].map(formatCount);
    return [`replica ${i + 1}`, ...counts, formatUsd(spentMicros)];
  });
  screen.line("");
  screen.line(table(REPLICA_COLUMNS, rows, screen.ink));
  screen.line("");
}

const COLUMNS = [
  { title: "" },
  { title: "calls made", right: true },
  { title: "refused", right: true },
  { title: "spent", right: true },
  { title: "with no Imprest", right: true },
];

export function drawOutcome(
  screen: Screen,
  { replay, balances, unguarded, claims }: Outcome,
): void {
  const { loop, neighbours, others } = replay.tallies;
  const row = (name: string, sides: readonly Side[], unguardedMicros: number) => {
    const tallies = sides.map((side) => replay.tallies[side]);
    const admitted = tallies.reduce((sum, tally) => sum + tally.admitted, 0);
    const refused = tallies.reduce((sum, tally) => sum + tally.refused, 0);
    const spent = tallies.reduce((sum, tally) => sum + tally.spentMicros, 0);
    return [
      name,
      formatCount(admitted),
      formatCount(refused),
      formatUsd(spent),
      formatUsd(unguardedMicros),
    ];
  };
  const rows = [
    row(`the loop (${LOOP_TENANT})`, ["loop"], unguarded.loopMicros),
    row(`${LOOP_TENANT}, its other runs`, ["neighbours"], unguarded.neighboursMicros),
    row(`the other ${TENANTS - 1} tenants`, ["others"], unguarded.othersMicros),
    row(`all fifty`, ["loop", "neighbours", "others"], totalMicros(unguarded)),
  ];
  screen.line("");
  screen.line(table(COLUMNS, rows, screen.ink));
  if (replay.replicas.length > 1) drawReplicas(screen, replay.replicas);
  for (const tally of [loop, neighbours, others]) {
    for (const [by, times] of tally.refusedBy) {
      const scope = tally === loop ? ` at tenant:${LOOP_TENANT}/run:${LOOP_RUN}` : "";
      screen.line(`Refused ${formatCount(times)} times by ${by}${scope}.`);
    }
  }
  if (unguarded.emptyAtSeconds !== undefined) {
    const account = formatUsd(balances.provider.limitMicros);
    const empty = `With no Imprest the account's ${account} are gone at ${clockOf(unguarded.emptyAtSeconds)}`;
    screen.line(
      `${empty}; from then on ${formatCount(unguarded.othersFailed)} calls of the other ${TENANTS - 1} fail.`,
    );
  }
  screen.line("");
  for (const { claim, held } of claims)
    screen.line(`${held ? screen.ink("green", "✓") : screen.ink("red", "✗")} ${claim}`);
}
