/**
 * Reads what the process before has left, and cuts off what was not written whole.
 *
 *   RC1  What is recovered is what was true after one of the writes: all of it, or nothing (FR1).
 *   RC2  That write is the last one that was acknowledged, unless the machine stopped, the disk failed, or
 *        somebody changed the files; then `intact` is false.
 *
 * After another start of the machine the unsynced end may be missing without a trace, which is why the boot id
 * is part of each file.
 */
import { readFile, rename, rm, truncate, writeFile } from "node:fs/promises";
import type { JournalEntry, JournalKind, Recovered } from "../../ports/journal.ts";
import type { Log } from "../../ports/log.ts";
import { JournalUnusable, type Segment } from "./directory.ts";
import { holdsFrame } from "./frame.ts";
import { readSegment, type SegmentReading } from "./segment-reader.ts";

/** Version of what the frames hold. */
const FORMAT = 1;

/** The payload of each file's first frame. */
interface Header {
  readonly format: number;
  readonly boot: string;
  /** Why what lay before was not intact; holds until the first write, which tells who goes on from it. */
  readonly doubt: string;
}

export const headerOf = (boot: string, doubt: string): string =>
  JSON.stringify({ format: FORMAT, boot, doubt } satisfies Header);

export interface Recovery {
  readonly recovered: Recovered;
  /** Number of the next frame. */
  readonly next: number;
  /** Empties what was recovered: it was taken over, and must not be kept twice. */
  forget(): void;
}

export interface RecoveryOptions {
  /** "": this system does not tell. */
  readonly boot: string;
  readonly log: Log;
}

const NOTHING: ReadonlyMap<string, unknown> = new Map();

/** @throws JournalUnusable where a newer version of this program wrote it */
export async function recover(
  segments: readonly Segment[],
  { boot, log }: RecoveryOptions,
): Promise<Recovery> {
  const states = new Map<JournalKind, Map<string, unknown>>();
  let next: number | undefined;
  let lastBoot = boot;
  let why = "";
  for (const [i, segment] of segments.entries()) {
    let header: Header | undefined;
    let isWritten = false;
    const reading = await readSegment(segment.path, next, (payload) => {
      isWritten = header !== undefined;
      if (header) fold(states, JSON.parse(payload) as readonly PackedEntry[]);
      else header = readHeader(payload, segment);
    });
    next = reading.next;
    lastBoot = header?.boot ?? lastBoot;
    why = segment.failed ? "a write failed" : isWritten ? "" : (header?.doubt ?? "");
    if (reading.end === reading.size && header) continue;
    why = await cutOff(segment, reading, { later: segments.slice(i + 1), log });
    break;
  }
  if (why === "" && segments.length > 0 && (boot === "" || lastBoot !== boot)) {
    why =
      boot === "" ? "this system does not tell its boots apart" : "the machine was started anew";
  }
  const of = (kind: JournalKind): ReadonlyMap<string, unknown> => states.get(kind) ?? NOTHING;
  const recovered = { of, intact: why === "", why };
  return { recovered, next: next ?? 1, forget: () => states.clear() };
}

/** Leaves what is good, and says why the rest is not. */
async function cutOff(
  { path }: Segment,
  { end, size }: SegmentReading,
  { later, log }: { readonly later: readonly Segment[]; readonly log: Log },
): Promise<string> {
  const rest = (await readFile(path)).subarray(end);
  const isDamaged = later.length > 0 || holdsFrame(rest, 0);
  const lost = { file: path, at: end, bytes: size - end };
  if (isDamaged) {
    log.error(lost, "the journal is damaged: what was written later is put aside");
    // For whoever wants to look at it: nothing reads it again.
    await writeFile(`${path}.damaged`, rest, { mode: 0o600 });
    for (const other of later) await rename(other.path, `${other.path}.damaged`);
  } else log.warn(lost, "the end of the journal was not written whole: it is cut off");
  if (end > 0) await truncate(path, end);
  else await rm(path);
  return isDamaged ? "it is damaged" : "its end was not written whole";
}

function readHeader(text: string, { path }: Segment): Header {
  const header = JSON.parse(text) as Header;
  if (header.format === FORMAT) return header;
  throw new JournalUnusable(path, `it is of format ${header.format}; this version reads ${FORMAT}`);
}

/** An entry in a frame: as {@link JournalEntry}, in this order. */
type PackedEntry = readonly [JournalKind, string] | readonly [JournalKind, string, unknown];

export const pack = ({ kind, name, state }: JournalEntry): string =>
  JSON.stringify(state === undefined ? [kind, name] : [kind, name, state]);

function fold(
  states: Map<JournalKind, Map<string, unknown>>,
  entries: readonly PackedEntry[],
): void {
  for (const [kind, name, state] of entries) {
    let named = states.get(kind);
    if (!named) states.set(kind, (named = new Map<string, unknown>()));
    named.delete(name); // what is written again is the latest
    if (state !== undefined) named.set(name, state);
  }
}
