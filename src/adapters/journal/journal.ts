/**
 * The journal in a folder: files to which frames are appended, one for each write.
 *
 *   JO1  After `write` has returned true, what was put is found again although the process is killed at once.
 *   JO2  After a write has failed nothing is written any more, and the journal says so when it is read again.
 *   JO3  Older files are deleted only when the one in use says all that they said, and is on the device.
 *   JO4  No step of the rewriting takes longer than a few milliseconds.
 *
 * A file that has grown to three times what lives is followed by a new one. All that lives is put there a slice at a
 * time, beside what changes meanwhile, each slice in one frame with the changes that it may have seen. Then the
 * new file is synced, and the older ones are deleted, the oldest first.
 */
import { rm } from "node:fs/promises";
import type { DurationMs } from "../../core/time.ts";
import type { Journal, JournalEntry, Keeper, Recovered } from "../../ports/journal.ts";
import type { Log } from "../../ports/log.ts";
import { readBootId } from "./boot-id.ts";
import { JournalUnusable, prepareDirectory, segmentsIn } from "./directory.ts";
import { lockDirectory, type Unlock } from "./lock.ts";
import { headerOf, pack, recover } from "./recovery.ts";
import { createSegmentWriter, type SegmentWriter } from "./segment-writer.ts";

/** A file below this is not worth rewriting; a few of them fit into the smallest volume that anybody mounts. */
const SMALLEST = 4 * 1024 * 1024;
/** A file is followed by another one when it has grown to so much more than what lives. */
const GROWTH = 3;
/** Characters of one slice, about a millisecond's work; and the pause between two of them, ms. */
const SLICE = 128 * 1024;
const PAUSE: DurationMs = 8;

export interface JournalOptions {
  readonly directory: string;
  /** How often what was written is synced to the device. */
  readonly syncMs: DurationMs;
  readonly log: Log;
  /** Bytes at which a file is followed by another one, at the least. */
  readonly smallest?: number;
  /** Characters of one slice. */
  readonly slice?: number;
  readonly bootId?: string;
}

export interface OpenJournal {
  readonly journal: Journal;
  readonly recovered: Recovered;
  /** What was recovered has been taken over: it is kept no longer. */
  forget(): void;
  /** False once a write has failed. */
  keeps(): boolean;
}

/**
 * Takes the folder, reads what it holds, and begins a new file.
 * @throws JournalUnusable the folder cannot be used
 * @throws JournalInUse another process has it
 */
export async function openJournal(options: JournalOptions): Promise<OpenJournal> {
  const { directory, log } = options;
  await prepareDirectory(directory);
  const unlock = await lockDirectory(directory);
  try {
    const boot = options.bootId ?? (await readBootId());
    const older = await segmentsIn(directory);
    const recovery = await recover(older, { boot, log });
    const { recovered } = recovery;
    const writer = createSegmentWriter({
      directory,
      segment: (older.at(-1)?.number ?? 0) + 1,
      frame: recovery.next,
      header: headerOf(boot, recovered.why),
    });
    const stale = older.map(({ path }) => path);
    const header = headerOf(boot, "");
    const forget = (): void => recovery.forget();
    return { recovered, forget, ...createJournal(options, { writer, header, stale, unlock }) };
  } catch (cause) {
    await unlock();
    throw cause instanceof JournalUnusable ? cause : new JournalUnusable(directory, cause);
  }
}

interface Parts {
  readonly writer: SegmentWriter;
  /** Of the files that follow. */
  readonly header: string;
  /** Files to be deleted once the one in use says all that they said. */
  stale: string[];
  readonly unlock: Unlock;
}

function createJournal(
  { directory, syncMs, log, smallest = SMALLEST, slice = SLICE }: JournalOptions,
  { writer, header, stale, unlock }: Parts,
): Pick<OpenJournal, "journal" | "keeps"> {
  const keepers: Keeper[] = [];
  let collected: string[] = [];
  let limit = smallest;
  /** Characters of what lives, as far as the rewriting has come. */
  let alive = 0;
  let rewriting: Generator<JournalEntry, void> | undefined;
  let hasBegun = false;
  let hasFailed = false;
  let isMarked = false;
  let hasEnded = false;

  function fail(cause: unknown): void {
    if (hasFailed) return;
    hasFailed = true;
    log.error({ err: cause, directory }, "the journal failed: going on without it");
    const error = mark();
    if (isMarked) return;
    log.error({ err: error, directory }, "the journal cannot be marked as failed; trying again");
  }

  /** Whoever reads it must know (JO2). Returns what kept it from being written. */
  function mark(): unknown {
    try {
      writer.markFailed();
      isMarked = true;
      return undefined;
    } catch (error) {
      return error;
    }
  }

  function attempt(act: () => void): boolean {
    try {
      if (!hasFailed) act();
    } catch (error) {
      fail(error);
    }
    return !hasFailed;
  }

  function collect(): void {
    for (const keeper of keepers) keeper.collect(journal);
  }

  /** Everything that was collected, in one frame (JO1). */
  function flush(): boolean {
    const parts = collected;
    if (parts.length === 0 || hasEnded) return !hasFailed;
    collected = [];
    return attempt(() => writer.append(`[${parts.join(",")}]`));
  }

  function rewrite(): void {
    rewriting = allOf(keepers);
    alive = 0;
    setTimeout(step, PAUSE).unref();
  }

  function step(): void {
    if (!rewriting || hasFailed || hasEnded) return;
    collect();
    let size = 0;
    while (size < slice) {
      const next = rewriting.next();
      if (next.done) {
        rewriting = undefined;
        break;
      }
      const part = pack(next.value);
      collected.push(part);
      size += part.length;
    }
    alive += size;
    if (!flush()) return;
    if (rewriting) setTimeout(step, PAUSE).unref(); // (JO4)
    else void forgetOlder().catch(fail);
  }

  async function forgetOlder(): Promise<void> {
    limit = Math.max(smallest, GROWTH * alive);
    const paths = stale;
    stale = [];
    await writer.sync();
    for (const path of paths) await rm(path, { force: true }); // (JO3)
  }

  const timer = setInterval(() => {
    if (!hasFailed) void writer.sync().catch(fail);
    else if (!isMarked) mark();
  }, syncMs);
  timer.unref();

  const journal: Journal = {
    join(keeper) {
      if (hasBegun) throw new Error("whoever keeps something joins before the first write");
      keepers.push(keeper);
    },
    put(kind, name, state) {
      if (!hasFailed) collected.push(pack({ kind, name, state }));
    },
    drop(kind, name) {
      if (!hasFailed) collected.push(pack({ kind, name }));
    },
    write() {
      if (!hasBegun && stale.length > 0) rewrite();
      hasBegun = true;
      collect();
      if (!flush()) return false;
      if (rewriting || writer.bytes() <= limit) return true;
      rewrite();
      return attempt(() => void stale.push(writer.begin(header)));
    },
    isMarked: () => isMarked,
    async close() {
      journal.write();
      hasEnded = true;
      clearInterval(timer);
      if (!hasFailed) await writer.sync().catch(fail);
      writer.close();
      await unlock();
    },
  };
  return { journal, keeps: () => !hasFailed };
}

function* allOf(keepers: readonly Keeper[]): Generator<JournalEntry, void> {
  for (const keeper of keepers) yield* keeper.live();
}
