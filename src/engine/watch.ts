/** Who hears of every change that has to survive the process. Told after the change, in the same turn. */
import type { CompiledLimit } from "../core/policy/compile.ts";
import type { Lease } from "./lease.ts";

/** Where a lease is kept. over: nowhere, reservations alone know it. */
export type Place = "account" | "shelf" | "over";

export interface Placing {
  readonly place: Place;
  readonly limit: CompiledLimit;
  /** Values of `per`. */
  readonly bucket: string;
  /** Of an account: uid of the tenant whose bound it counts against; else "". */
  readonly owner: string;
}

export interface Watch {
  /** A reservation was made, changed or ended; or what was remembered under this name is new, or forgotten. */
  changed(id: string): void;
  /** The answer under a key is new, or forgotten. */
  answered(key: string): void;
  /** A lease is new, has another spec or limit, or is kept elsewhere. */
  placed(lease: Lease, placing: Placing): void;
  /** An operation has named it. */
  used(lease: Lease): void;
  /** It is forgotten. */
  gone(lease: Lease): void;
}

const ignore = (): void => undefined;

/** Where there is no journal. */
export const NO_WATCH: Watch = {
  changed: ignore,
  answered: ignore,
  placed: ignore,
  used: ignore,
  gone: ignore,
};
