/** `imprest store`: whether a store is fit to keep a fleet's units, and getting an empty one ready beforehand. */
import type { ServerReport, Visit } from "../adapters/redis/visit.ts";
import { defineCommand, type Command } from "./command.ts";
import { toggle } from "./flag.ts";
import { inkFor, onOneLine, type Ink } from "./ink.ts";
import { checkStore, SHARED_STORE_FLAGS } from "./store-flags.ts";
import { withStore } from "./store-visit.ts";

const EXITS = {
  0: "nothing is missing",
  1: "something is missing, or the store does not answer",
  2: "a configuration error",
};

const FLAGS = { ...SHARED_STORE_FLAGS, json: toggle("Print one JSON object instead of lines.") };

export const storeCheck: Command = defineCommand({
  name: "store check",
  about:
    "Looks at each server of a store: version, eviction policy, what the scripts may do there, role, replicas, and whether it is prepared. Changes nothing but one key of its own, which is gone after a second.",
  flags: FLAGS,
  exits: EXITS,
  check: ({ values }) => checkStore(values),
  examples: [
    { line: "imprest store check --store redis://127.0.0.1:6379", says: "Is it fit?" },
    {
      line: "imprest store check --store redis+cluster://h1:6379,h2:6379 --confirm strict --json",
      says: "For a job that reads the answer.",
    },
  ],
  run: (host, { values }) =>
    withStore(host, "store check", values, async (visit) => {
      const look = await lookAt(visit, values.confirm);
      host.stdout.write(values.json ? `${JSON.stringify(look)}\n` : reportOf(look, inkFor(host)));
      return look.fit ? 0 : 1;
    }),
});

export const storeInit: Command = defineCommand({
  name: "store init",
  about:
    "Gets an empty store ready, so that the first sidecars have units at once instead of after two seconds. A store that is ready is left as it is.",
  flags: FLAGS,
  exits: { ...EXITS, 0: "the store is ready" },
  check: ({ values }) => checkStore(values),
  examples: [
    {
      line: "imprest store init --store redis+sentinel://s1,s2,s3/main --confirm strict",
      says: "Before the fleet starts, with the mode that the whole of it will use.",
    },
  ],
  run: (host, { values }) =>
    withStore(host, "store init", values, async (visit) => {
      const before = await lookAt(visit, values.confirm);
      const failure = before.fit ? await visit.prepare() : "";
      const look =
        failure === "" ? await lookAt(visit, values.confirm) : withProblem(before, failure);
      host.stdout.write(values.json ? `${JSON.stringify(look)}\n` : reportOf(look, inkFor(host)));
      return look.fit ? 0 : 1;
    }),
});

interface Look {
  /** Nothing is missing. */
  readonly fit: boolean;
  /** The confirm mode that it was prepared for; "": it has not been. */
  readonly prepared: string;
  readonly servers: readonly ServerReport[];
  /** What concerns no single server. */
  readonly problems: readonly string[];
}

async function lookAt(visit: Visit, confirm: string): Promise<Look> {
  const servers = visit.servers();
  const isFit = servers.every(({ findings }) => findings.every(({ isFatal }) => !isFatal));
  if (!isFit) return { fit: false, prepared: "", servers, problems: [] };
  const mode = await visit.mode();
  if (typeof mode !== "string")
    return { fit: false, prepared: "", servers, problems: [mode.fault] };
  const look: Look = { fit: true, prepared: mode, servers, problems: [] };
  return mode === "" || mode === confirm
    ? look
    : withProblem(look, `this fleet runs with --confirm ${mode}, not ${confirm}: one mode for all`);
}

const withProblem = (look: Look, problem: string): Look => ({
  ...look,
  fit: false,
  problems: [...look.problems, problem],
});

function reportOf({ fit, prepared, servers, problems }: Look, ink: Ink): string {
  const bad = ink("red", "problem");
  const lines = servers.flatMap(({ server, version, replicas, findings }) => [
    version === ""
      ? server
      : `${server}  ${version}, ${replicas} ${replicas === 1 ? "replica" : "replicas"}`,
    ...findings.map(
      ({ isFatal, text }) => `  ${isFatal ? bad : ink("yellow", "note")}  ${onOneLine(text)}`,
    ),
  ]);
  lines.push(...problems.map((problem) => `${bad}  ${onOneLine(problem)}`));
  if (fit) {
    lines.push(
      prepared === ""
        ? "fit, not yet prepared: the first sidecar does that, or `imprest store init`"
        : `fit, and prepared for --confirm ${prepared}`,
    );
  }
  return `${lines.join("\n")}\n`;
}
