/** Text for people: colours where there is a terminal that wants them, columns, amounts. */
import { styleText } from "node:util";
import type { Amount } from "../gen/imprest/v1/quota.ts";
import type { Host } from "./host.ts";

export type Style = "green" | "yellow" | "red" | "bold" | "dim";
export type Ink = (style: Style, text: string) => string;

/** Colours on a terminal alone, and not where NO_COLOR asks for none. */
export function inkFor({ stdout, env }: Pick<Host, "stdout" | "env">): Ink {
  const isPlain = !stdout.isTty || (env["NO_COLOR"] ?? "") !== "" || env["TERM"] === "dumb";
  return (style, text) => (isPlain ? text : styleText(style, text, { validateStream: false }));
}

/** On one line, without what would move a terminal's cursor: texts of a policy are somebody else's. */
export const onOneLine = (text: string): string => text.replace(/\p{Cc}+/gu, " ");

const grouped = new Intl.NumberFormat("en-US");

const MICROS = 1_000_000n;

/** "1,500", or for usd_micros "$0.0125" with at least two and at most six decimals. */
export function spellUnits(meter: string, units: bigint): string {
  if (meter !== "usd_micros") return grouped.format(units);
  const size = units < 0n ? -units : units;
  const decimals = String(size % MICROS)
    .padStart(6, "0")
    .replace(/0{1,4}$/, "");
  return `${units < 0n ? "-" : ""}$${grouped.format(size / MICROS)}.${decimals}`;
}

/** "1,500 tokens"; money needs no meter. */
const spellAmount = ({ meter, units }: Amount): string =>
  meter === "usd_micros" ? spellUnits(meter, units) : `${spellUnits(meter, units)} ${meter}`;

export const spellAmounts = (amounts: readonly Amount[]): string =>
  amounts.length === 0 ? "nothing" : amounts.map(spellAmount).join(", ");

export interface Column {
  readonly title: string;
  /** Numbers stand at the right. */
  readonly right?: boolean;
}

/** Rows under their titles, a line each, as wide as their contents. */
export function table(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  ink: Ink,
): string {
  const widths = columns.map(({ title }, at) =>
    Math.max(title.length, ...rows.map((row) => row[at]?.length ?? 0)),
  );
  const line = (cells: readonly string[]): string =>
    columns
      .map(({ right }, at) =>
        right === true
          ? (cells[at] ?? "").padStart(widths[at] ?? 0)
          : (cells[at] ?? "").padEnd(widths[at] ?? 0),
      )
      .join("  ")
      .trimEnd();
  return [ink("bold", line(columns.map(({ title }) => title))), ...rows.map(line)]
    .map((each) => `${each}\n`)
    .join("");
}
