import type { Log } from "../../src/ports/log.ts";

const nothing = (): void => undefined;

/** For what a test says otherwise. */
export const SILENT: Log = { debug: nothing, info: nothing, warn: nothing, error: nothing };
