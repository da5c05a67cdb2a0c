/** The fenced code of a Markdown page, in order. */
import { readFileSync } from "node:fs";
import path from "node:path";
import { ROOT } from "../../support/sources.ts";

export interface Block {
  /** "sh", "yaml", "python", "ts". */
  readonly language: string;
  /** With its last line's end. */
  readonly code: string;
}

export const readPage = (page: string): string => readFileSync(path.join(ROOT, page), "utf8");

const blocksIn = (text: string): readonly Block[] =>
  [...text.matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm)].map(([, language = "", code = ""]) => ({
    language,
    code,
  }));

export const blocksOf = (page: string): readonly Block[] => blocksIn(readPage(page));

/** What the reader types under each heading `## N. …`, in order: a text for each block. */
export const stepsOf = (page: string): readonly (readonly string[])[] =>
  readPage(page)
    .split(/^## /m)
    .filter((section) => /^\d+\. /.test(section))
    .map((section) =>
      blocksIn(section).flatMap(({ language, code }) => (language === "sh" ? [code.trim()] : [])),
    );

/** The only block of that language, or an error. */
export function onlyBlock(page: string, language: string): string {
  const found = blocksOf(page).filter((block) => block.language === language);
  const [block] = found;
  if (block === undefined || found.length > 1) {
    throw new Error(`${page} has ${found.length} blocks of ${language}, not one`);
  }
  return block.code;
}
