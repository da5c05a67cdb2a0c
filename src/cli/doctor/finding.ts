/** What the doctor says: one thing that was looked at, how it is, and what to do about it. */
import { onOneLine, type Ink, type Style } from "../ink.ts";

/** unknown: it could not be looked at, which alone is no reason to fail. */
export type Severity = "ok" | "note" | "unknown" | "problem";

export interface Finding {
  readonly severity: Severity;
  /** "webhook", "pods", "store": what it is about. */
  readonly about: string;
  readonly text: string;
  /** What to do; "" where there is nothing. */
  readonly advice: string;
}

type About = (text: string, advice?: string) => Finding;

/** Findings about one thing. */
export function findingsAbout(about: string): Readonly<Record<Severity, About>> {
  const of =
    (severity: Severity): About =>
    (text, advice = "") => ({ severity, about, text, advice });
  return { ok: of("ok"), note: of("note"), unknown: of("unknown"), problem: of("problem") };
}

const STYLES: Readonly<Record<Severity, Style>> = {
  ok: "green",
  note: "yellow",
  unknown: "yellow",
  problem: "red",
};

export function report(findings: readonly Finding[], ink: Ink): string {
  const width = Math.max(...findings.map(({ about }) => about.length));
  const lines = findings.flatMap(({ severity, about, text, advice }) => [
    `${ink(STYLES[severity], severity.padEnd(7))}  ${about.padEnd(width)}  ${onOneLine(text)}`,
    ...(advice === "" ? [] : [`${" ".repeat(width + 11)}${ink("dim", "→")} ${onOneLine(advice)}`]),
  ]);
  const problems = findings.filter(({ severity }) => severity === "problem").length;
  const unseen = findings.filter(({ severity }) => severity === "unknown").length;
  const found = unseen === 0 ? "nothing is wrong" : "nothing wrong was found";
  const verdict = problems === 0 ? found : `${problems} to put right`;
  const rest = unseen === 0 ? "" : `, ${unseen} could not be looked at`;
  return `${lines.join("\n")}\n${verdict}${rest}\n`;
}

/** "a, b, c and 4 more". */
export function some(names: readonly string[], most = 5): string {
  const shown = names.slice(0, most).join(", ");
  return names.length > most ? `${shown} and ${names.length - most} more` : shown;
}
