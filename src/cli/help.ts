/** What `--help` prints, made from the tables that the parser reads, so that it cannot say anything else. */
import type { Command } from "./command.ts";
import { variableOf, type Flag } from "./flag.ts";

const WIDTH = 100;

/** Lines of at most {@link WIDTH} columns, each after `indent` spaces. */
function wrap(text: string, indent: number): string {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && indent + line.length + 1 + word.length > WIDTH) {
      lines.push(line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  return [...lines, line].map((each) => " ".repeat(indent) + each).join("\n");
}

function describeFlag(name: string, flag: Flag<unknown>): string {
  const notes = [
    flag.required ? "Required." : "",
    flag.repeats ? "May be repeated." : "",
    flag.fallback === undefined ? "" : `Default: ${flag.fallback}.`,
  ].filter((note) => note !== "");
  const variables = [variableOf(name), flag.furtherVariable].filter((one) => one !== undefined);
  const head = flag.placeholder === "" ? `--${name}` : `--${name} ${flag.placeholder}`;
  return `  ${head}\n${wrap([flag.help, ...notes, `[${variables.join(", ")}]`].join(" "), 6)}`;
}

function usage({ name, positionals, flags }: Command): string {
  const words = positionals.map((positional) => positional.name);
  const musts = Object.entries(flags)
    .filter(([, flag]) => flag.required)
    .map(([flag, { placeholder }]) => `--${flag} ${placeholder}`);
  return ["imprest", name, ...words, ...musts, "[flags]"].join(" ");
}

export function commandHelp(command: Command): string {
  const flags = Object.entries(command.flags);
  const now = flags.filter(([, flag]) => !flag.pending);
  const later = flags.filter(([, flag]) => flag.pending).map(([name]) => `--${name}`);
  const sections = [
    `Usage: ${usage(command)}`,
    wrap(command.about, 0),
    command.positionals.map(({ name, help }) => `  ${name}\n${wrap(help, 6)}`).join("\n"),
    now.length === 0
      ? ""
      : `Flags, and the variable that each may come from:\n${now.map(([name, flag]) => describeFlag(name, flag)).join("\n")}`,
    later.length === 0 ? "" : `Not in this version yet:\n${wrap(later.join(" "), 2)}`,
    `Examples:\n${command.examples.map(({ line, says }) => `  # ${says}\n  ${line}`).join("\n")}`,
    `Exit status:\n${Object.entries(command.exits)
      .map(([status, meaning]) => `  ${status}  ${meaning}`)
      .join("\n")}`,
  ];
  return `${sections.filter((section) => section !== "").join("\n\n")}\n`;
}

export interface Summary {
  readonly name: string;
  readonly summary: string;
}

/** The page of a name that has commands below it: `imprest`, `imprest policy`. */
export function groupHelp(group: string, commands: readonly Summary[]): string {
  const width = Math.max(...commands.map(({ name }) => name.length));
  const rows = commands.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`);
  return [
    `Usage: imprest ${group === "" ? "COMMAND" : `${group} …`} [flags]`,
    ...(group === ""
      ? ["Stops AI agents before they overspend: Check, Reserve and Commit from memory."]
      : []),
    `Commands:\n${rows.join("\n")}`,
    `\`imprest COMMAND --help\` lists flags, variables, examples and exit statuses of a command.\n${
      group === "" ? "`imprest --version` prints the version.\n" : ""
    }`,
  ].join("\n\n");
}
