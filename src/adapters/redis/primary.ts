/**
 * A server that has units: the one behind the address, or one primary of a Cluster. It is asked each half second
 * who it is, because a connection that survives says nothing of the data behind it: a replica promoted in place, a
 * flush and a restart behind a proxy all leave it open.
 *
 *   PR1  A server counts only while its beat is answered, it is a primary, and nothing that it must be is missing.
 *   PR2  Another data set (`master_replid`) or a new connection is told; the first of both is not news.
 */
import { createConfirmedLine, type ConfirmedLine } from "./confirmed-line.ts";
import { confirmFindings, neededReplicas, type Confirm } from "./confirm.ts";
import type { Dial } from "./dial.ts";
import { inspect, type Inspection } from "./inspection.ts";
import { parseInfo, replicationOf, type Replication } from "./info.ts";
import { createLink, type Link, type Outcome, type Words } from "./link.ts";
import type { StoreHost, StoreKind } from "./store-url.ts";

/** A beat that is not answered for so long counts as none; a server that takes 2 s still does. */
const OVERDUE_MS = 3_000;
/** What a server lacks is looked at again so often: an operator may have put it right. */
const INSPECT_AGAIN_MS = 2_000;

export interface PrimaryOptions {
  readonly dial: Dial;
  readonly kind: StoreKind;
  readonly node?: StoreHost;
  readonly confirm: Confirm;
  /** A `master_replid` that is hidden or means nothing is not looked at. */
  readonly fencing: boolean;
  /** A shard of it, whose keys may be written to find out what is permitted. */
  readonly probeKey: () => string;
  /** Connected: it may be asked. */
  readonly onReady: () => void;
  /** Something of what it says of itself has changed. */
  readonly onChange: () => void;
  /** It may have another data set. */
  readonly onNews: () => void;
  readonly onTrip: (ms: number) => void;
  /** It is used all the same, but somebody should know. */
  readonly onAlarm: (text: string) => void;
}

/** `cause`: why it does not count; "" where it does; undefined where that is not known yet. */
export interface Health {
  readonly cause: string | undefined;
  readonly replication: Replication | undefined;
}

export interface Primary {
  /** Of a Cluster's node; undefined for the one behind the address. */
  readonly node: StoreHost | undefined;
  /** For what is not a script, so that no WAIT is in its way. */
  readonly control: Link;
  readonly line: ConfirmedLine;
  health(): Health;
  /** What it was when it was last looked at. */
  inspection(): Inspection | undefined;
  /** Asks who it is, with `more` behind it; resolves with the outcomes of `more`, none if a beat is under way. */
  beat(more: readonly Words[]): Promise<readonly Outcome[]>;
  /** How many replicas have to have a grant before it is spent. */
  needed(): number;
  /** The server says that it is no primary: looks for another one. */
  demoted(): void;
  /** It has refused a script for a reason of its own: the next beat looks at it as a whole. */
  doubted(): void;
  close(): void;
}

export function createPrimary(options: PrimaryOptions): Primary {
  const { dial, node, onChange, onNews } = options;
  let replication: Replication | undefined;
  let mostOnline = 0;
  let cause: string | undefined;
  let wasReady = false;
  let isBeating = false;
  /** When the question was sent that is not answered yet. */
  let askedAt: number | undefined;
  let inspection: Inspection | undefined;
  let inspectedAt: number | undefined;

  const become = (next: string): void => {
    if (next === cause) return;
    cause = next;
    onChange();
  };
  const where = { dial, ...(node === undefined ? {} : { node }) };
  const control = createLink({
    ...where,
    onReady() {
      inspectedAt = undefined;
      if (wasReady) onNews(); // (PR2)
      wasReady = true;
      options.onReady();
    },
    onLost: become,
  });
  const needed = (): number =>
    neededReplicas(options.confirm, { online: replication?.online ?? 0, mostOnline });
  const scripts = createLink({ ...where, onReady: () => options.onReady(), onLost: become });
  const line = createConfirmedLine(scripts, needed);

  function hear(heard: Replication): void {
    const last = replication;
    replication = heard;
    mostOnline = Math.max(mostOnline, heard.online);
    if (options.fencing && last !== undefined && last.replid !== heard.replid) onNews(); // (PR2)
    if (last === undefined || last.online === heard.online) return;
    if (heard.online === 0 && options.confirm === "auto") {
      options.onAlarm("no replica is connected any more: nobody confirms what is granted");
    }
    onChange();
  }

  /** It has not been looked at since it was connected to, or lacks something that it may have by now. */
  const isInspectionDue = (): boolean =>
    inspectedAt === undefined ||
    (problemsOf(inspection) !== "" && performance.now() - inspectedAt > INSPECT_AGAIN_MS);

  async function beat(more: readonly Words[]): Promise<readonly Outcome[]> {
    if (!control.isReady()) return [];
    if (isBeating) {
      const isOverdue = askedAt !== undefined && performance.now() - askedAt > OVERDUE_MS;
      if (isOverdue) become(`no answer for ${OVERDUE_MS / 1000} s`);
      return [];
    }
    isBeating = true;
    const isWhole = isInspectionDue();
    const started = performance.now();
    askedAt = started;
    const info = isWhole ? ["INFO"] : ["INFO", "replication"];
    const [told = NO_ANSWER, ...rest] = await control.run([info, ...more]);
    askedAt = undefined;
    if (told.kind === "reply") options.onTrip(performance.now() - started);
    if (told.kind !== "lost" && isWhole) {
      const { kind, fencing } = options;
      inspectedAt = performance.now();
      inspection = await inspect(control, told, { kind, fencing, probeKey: options.probeKey() });
    }
    if (told.kind === "reply") {
      hear(replicationOf(parseInfo(String(told.reply))));
      const missing = problemsOf(inspection) || roleProblem() || replicaProblem();
      // Where scripts have no connection yet nothing is known; where they have lost it, that was told.
      if (missing !== "" || scripts.isReady()) become(missing);
    } else become((told.kind === "refused" && problemsOf(inspection)) || told.error);
    isBeating = false;
    return rest;
  }

  /** A read-only replica is not used; behind Sentinels another one is looked for. */
  function roleProblem(): string {
    if (replication?.isPrimary !== false) return "";
    primary.demoted();
    return "it is a read-only replica; --store has to lead to the primary";
  }

  const replicaProblem = (): string =>
    confirmFindings(options.confirm, { online: replication?.online ?? 0 })
      .flatMap(({ isFatal, text }) => (isFatal ? [text] : []))
      .join("; ");

  const primary: Primary = {
    node,
    control,
    line,
    health: () => ({ cause, replication }),
    inspection: () => inspection,
    beat,
    needed,
    demoted() {
      if (options.kind !== "sentinel") return;
      control.reconnect();
      scripts.reconnect();
    },
    doubted() {
      inspectedAt = undefined;
    },
    close() {
      control.close();
      scripts.close();
    },
  };
  return primary;
}

const NO_ANSWER: Outcome = { kind: "lost", error: "it does not answer" };

const problemsOf = (inspection: Inspection | undefined): string =>
  inspection === undefined
    ? "it does not answer"
    : inspection.findings.flatMap(({ isFatal, text }) => (isFatal ? [text] : [])).join("; ");
