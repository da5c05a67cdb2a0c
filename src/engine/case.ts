/** One operation being decided. */
import type { DecisionSource } from "../core/verdict.ts";
import type { Core } from "./core.ts";
import type { Now } from "./now.ts";
import type { Turn } from "./turn.ts";
import type { Prepared } from "./prepare.ts";
import type { Ruling } from "./ruling.ts";
import type { Standing } from "./standing.ts";

export interface Case {
  readonly core: Core;
  readonly turn: Turn;
  readonly now: Now;
  readonly asked: Prepared;
  /** What is asked for has been cut to what is left, and may be cut again. */
  readonly takesLess?: boolean;
}

/** How it went: where it stood, and what refused it there. */
export interface Decided {
  readonly standings: readonly Standing[];
  readonly ruling: Ruling;
  /** Standings at which the store's loss let the operation through (`on_store_loss`); absent: none. */
  readonly fallen?: ReadonlySet<Standing>;
  /** Absent: from local units, or from the store if the operation has waited for it. */
  readonly source?: DecisionSource | undefined;
}

export const isRefused = ({ ruling }: Decided): boolean => ruling.refusals.length > 0;
