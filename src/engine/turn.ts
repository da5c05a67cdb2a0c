/** Who calls, and when. */
import type { Caller } from "../ports/quota.ts";
import type { Now } from "./now.ts";

export interface Turn {
  readonly caller: Caller;
  readonly now: Now;
}
