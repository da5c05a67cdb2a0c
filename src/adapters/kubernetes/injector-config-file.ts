/** The injector's configuration in a file, and the news that it has changed: a ConfigMap is swapped in by links. */
import { readFile } from "node:fs/promises";
import type { Clock } from "../../ports/clock.ts";
import { readInjectorConfig, type ConfigReading } from "./injector-config.ts";

/** A ConfigMap takes up to a minute to reach a pod; a second more is nothing. */
const POLL_MS = 1_000;

export interface ConfigFile {
  /** Rejects where the file cannot be read at all. */
  load(): Promise<ConfigReading>;
  /** Calls `changed` with each new content, good or bad; returns what stops it. */
  watch(changed: (reading: ConfigReading) => void): () => void;
}

export function openConfigFile(file: string, version: string, clock: Clock): ConfigFile {
  let known = "";
  return {
    async load() {
      known = await readFile(file, "utf8");
      return readInjectorConfig(known, version);
    },
    watch(changed) {
      let isStopped = false;
      let cancel = (): void => {};
      const poll = async (): Promise<void> => {
        // While it is being replaced it may be gone for a moment; what is in force stays.
        const text = await readFile(file, "utf8").catch(() => known);
        if (isStopped) return;
        if (text !== known) {
          known = text;
          changed(readInjectorConfig(text, version));
        }
        cancel = clock.timer(POLL_MS, () => void poll());
      };
      cancel = clock.timer(POLL_MS, () => void poll());
      return () => {
        isStopped = true;
        cancel();
      };
    },
  };
}
