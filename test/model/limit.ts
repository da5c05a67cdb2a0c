/** A limit as the model knows it: numbers alone, defaults filled in. */
export interface OracleLimit {
  readonly name: string;
  readonly kind: "rate" | "budget" | "slots" | "request";
  /** "" for slots. */
  readonly meter: string;
  readonly perRun: boolean;
  readonly mode: "enforce" | "soft" | "shadow";
  /** Units of a budget or rate, or the max. */
  units: number;
  /** Rates. */
  readonly everyMs: number;
  readonly burst: number;
  /** Budgets: length of a period, counted from 1970; Infinity: once. */
  readonly periodMs: number;
  readonly rollover: number;
  readonly overdraft: number;
  readonly carryDebt: boolean;
  readonly overage: "debt" | "cap" | "reject";
  readonly onExpiry: "release" | "charge";
  /** Share of the budget in percent at which `max_output_tokens: 7` is asked for; 0: never. */
  readonly capsAt: number;
}
