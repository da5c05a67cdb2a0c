/** Finds the subcommand, reads its configuration, runs it. Each command's module is imported only when meant. */
import type { Command } from "./command.ts";
import { configure, quoted } from "./configuration.ts";
import { commandHelp, groupHelp, type Summary } from "./help.ts";
import type { Host } from "./host.ts";
import { allowedWords } from "../core/policy/suggestion.ts";
import { packageVersion } from "./version.ts";

interface Entry extends Summary {
  readonly load: () => Promise<Command>;
}

export const COMMANDS: readonly Entry[] = [
  {
    name: "sidecar",
    summary: "The data plane, next to an agent.",
    load: async () => (await import("./sidecar.ts")).sidecar,
  },
  {
    name: "policy validate",
    summary: "Every problem of a policy document at once.",
    load: async () => (await import("./policy.ts")).policyValidate,
  },
  {
    name: "policy explain",
    summary: "Which limits of a document apply to an operation, and why the others do not.",
    load: async () => (await import("./policy-explain.ts")).policyExplain,
  },
  {
    name: "check",
    summary: "Would this be allowed now? Holds and charges nothing.",
    load: async () => (await import("./operate.ts")).check,
  },
  {
    name: "reserve",
    summary: "Hold an estimate in every limit that applies.",
    load: async () => (await import("./operate.ts")).reserve,
  },
  {
    name: "commit",
    summary: "Settle a reservation with what was really used.",
    load: async () => (await import("./operate.ts")).commit,
  },
  {
    name: "release",
    summary: "Give a reservation back unused.",
    load: async () => (await import("./operate.ts")).release,
  },
  {
    name: "extend",
    summary: "Push a reservation's expiry out, or hold more.",
    load: async () => (await import("./operate.ts")).extend,
  },
  {
    name: "consume",
    summary: "Reserve and commit in one call.",
    load: async () => (await import("./operate.ts")).consume,
  },
  {
    name: "explain",
    summary: "Which limits apply, and what each would say.",
    load: async () => (await import("./operate.ts")).explain,
  },
  {
    name: "balance",
    summary: "What is left of each limit of a tenant.",
    load: async () => (await import("./balance.ts")).balance,
  },
  {
    name: "reservations",
    summary: "What is held open.",
    load: async () => (await import("./reservations.ts")).reservations,
  },
  {
    name: "reservations release",
    summary: "Give an open reservation back by hand.",
    load: async () => (await import("./reservations.ts")).reservationsRelease,
  },
  {
    name: "store check",
    summary: "Is a store fit to keep a fleet's units?",
    load: async () => (await import("./store.ts")).storeCheck,
  },
  {
    name: "store init",
    summary: "Get an empty store ready before the fleet starts.",
    load: async () => (await import("./store.ts")).storeInit,
  },
  {
    name: "ledger show",
    summary: "What is leased by whom, and what dead sidecars left behind.",
    load: async () => (await import("./ledger.ts")).ledgerShow,
  },
  {
    name: "ledger resolve",
    summary: "Give back what dead sidecars had.",
    load: async () => (await import("./ledger.ts")).ledgerResolve,
  },
  {
    name: "ledger reset",
    summary: "Forget what was spent.",
    load: async () => (await import("./ledger.ts")).ledgerReset,
  },
  {
    name: "injector",
    summary: "The admission webhook that gives pods their sidecar.",
    load: async () => (await import("./injector.ts")).injector,
  },
  {
    name: "inject render",
    summary: "What the webhook would put into a pod, as a manifest or as a policy.",
    load: async () => (await import("./inject.ts")).injectRender,
  },
  {
    name: "doctor",
    summary: "What keeps pods from being limited, and what to do about it.",
    load: async () => (await import("./doctor.ts")).doctor,
  },
  {
    name: "demo",
    summary: "The incident that Imprest was made for, replayed.",
    load: async () => (await import("./demo.ts")).demo,
  },
];

/** Documented commands that this version does not have; one that is typed is told so. */
const PENDING: readonly string[] = ["why", "report", "key"];

const EXIT_CONFIGURATION = 2;

export async function run(host: Host): Promise<number> {
  const [first, ...rest] = host.argv;
  if (first === "--version") {
    host.stdout.write(`imprest ${packageVersion(host.root)}\n`);
    return 0;
  }
  const isHelp = first === "help" || first === "--help" || first === "-h";
  const words = isHelp ? rest : host.argv;
  const entry = find(words);
  if (entry !== undefined) {
    const command = await entry.load();
    return start(host, command, isHelp ? ["--help"] : words.slice(entry.name.split(" ").length));
  }
  return noCommand(host, words, isHelp);
}

/** The command with the longest name that the words begin with: "policy validate" takes two. */
const find = (words: readonly string[]): Entry | undefined =>
  COMMANDS.filter(({ name }) =>
    name.split(" ").every((part, index) => part === words[index]),
  ).reduce<Entry | undefined>(
    (best, each) => (best !== undefined && best.name.length > each.name.length ? best : each),
    undefined,
  );

async function start(host: Host, command: Command, argv: readonly string[]): Promise<number> {
  const { flags, positionals } = command;
  const found = configure(flags, positionals, argv, host.env);
  if (found.help) {
    host.stdout.write(commandHelp(command));
    return 0;
  }
  const seen = { ...found, env: host.env };
  const problems = [...found.problems, ...command.check(seen)];
  if (problems.length === 0) return command.run(host, found);
  return refuse(host, command.name, [
    ...problems.map(
      ({ where, found: what, allowed }) => `${where}: found ${what}; allowed: ${allowed}`,
    ),
    ...(await command.inspect(seen)),
  ]);
}

function refuse(host: Host, name: string, problems: readonly string[]): number {
  const lines = problems.map((problem) => `  ${problem}\n`);
  const title =
    problems.length === 1 ? "a configuration error" : `${problems.length} configuration errors`;
  host.stderr.write(
    `imprest ${name}: ${title}\n${lines.join("")}  imprest ${name} --help tells more\n`,
  );
  return EXIT_CONFIGURATION;
}

/** No command, a group of commands, or a name that is none. */
function noCommand(host: Host, words: readonly string[], isHelp: boolean): number {
  const [first = "", second = ""] = words;
  const group = COMMANDS.filter(({ name }) => name.startsWith(`${first} `));
  const isGroup = first === "" || group.length > 0;
  if (isGroup && (isHelp || second === "--help" || second === "-h")) {
    host.stdout.write(groupHelp(first, first === "" ? COMMANDS : group));
    return 0;
  }
  const typed = group.length > 0 ? words.slice(0, 2).join(" ") : first;
  const names = (group.length > 0 ? group : COMMANDS).map(({ name }) => name);
  const line = PENDING.includes(first)
    ? `imprest: this version does not have ${quoted(first)} yet`
    : `imprest: found ${typed === "" ? "no command" : quoted(typed)}; allowed: ${allowedWords(typed, names)}`;
  host.stderr.write(`${line}\n  imprest --help tells more\n`);
  return EXIT_CONFIGURATION;
}
