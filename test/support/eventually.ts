import { setTimeout as sleep } from "node:timers/promises";

const EVERY_MS = 20;

/**
 * Looks again and again until the condition holds; the test's own time limit ends what never does. For what other
 * processes do: they need the processor more than whoever waits for them.
 */
export async function eventually(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await sleep(EVERY_MS);
}
