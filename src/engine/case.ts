/** One operation being decided. */
import type { Core } from "./core.ts";
import type { Now } from "./now.ts";
import type { Prepared } from "./prepare.ts";
import type { Ruling } from "./ruling.ts";
import type { Standing } from "./standing.ts";

export interface Case {
  readonly core: Core;
  readonly now: Now;
  readonly asked: Prepared;
}

/** How it went: where it stood, and what refused it there. */
export interface Decided {
  readonly standings: readonly Standing[];
  readonly ruling: Ruling;
}

export const isRefused = ({ ruling }: Decided): boolean => ruling.refusals.length > 0;
