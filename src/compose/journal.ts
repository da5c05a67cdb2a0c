/** The journal that a configuration names; none where it names none. */
import { JournalUnusable } from "../adapters/journal/directory.ts";
import { openJournal, type OpenJournal } from "../adapters/journal/journal.ts";
import { JournalInUse } from "../adapters/journal/lock.ts";
import type { Log } from "../ports/log.ts";
import { ConfigurationError, InUseError, type SidecarConfig } from "./sidecar-config.ts";

export async function openConfiguredJournal(
  { journal: directory, journalSyncMs: syncMs }: Pick<SidecarConfig, "journal" | "journalSyncMs">,
  log: Log,
): Promise<OpenJournal | undefined> {
  if (directory === "") return undefined;
  try {
    const opened = await openJournal({ directory, syncMs, log });
    const { recovered } = opened;
    const { intact, why } = recovered;
    const reservations = recovered.of("reservation").size;
    const answers = recovered.of("memory").size;
    log.info({ directory, reservations, answers, intact, ...(why && { why }) }, "journal opened");
    return opened;
  } catch (error) {
    if (error instanceof JournalInUse) throw new InUseError(`--journal: ${error.message}`);
    if (!(error instanceof JournalUnusable)) throw error;
    throw new ConfigurationError([`--journal: ${error.message}`]);
  }
}
