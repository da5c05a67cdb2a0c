/** Plays a scenario on an engine of its own and says where the answers differ from what is written. */
import { isRejection } from "../../src/core/rejection.ts";
import { engineWith, type Harness } from "../support/engine-harness.ts";
import { answerFacts, balanceFacts, explanationFacts, rejectionFacts } from "./answer-facts.ts";
import {
  callOf,
  operationOf,
  parseCommand,
  parseDuration,
  requestOf,
  type Words,
} from "./command.ts";
import { type Fact, factsAgree, parseFacts, renderFact, restate } from "./facts.ts";
import type { Scenario, Step } from "./scenario-file.ts";

export interface Outcome {
  readonly step: Step;
  readonly agrees: boolean;
  readonly actual: readonly Fact[];
  /** The expectation as it would be written to agree. */
  readonly restated: readonly string[];
}

interface Stage {
  /** On the reference of a fleet's store. */
  readonly shared: boolean;
  harness: Harness | undefined;
  policy: string;
  readonly names: Map<string, string>;
}

/** Plays every step. Throws where a step cannot be read, with its line. */
export function play(file: string, scenario: Scenario, shared = false): readonly Outcome[] {
  const stage: Stage = { shared, harness: undefined, policy: "", names: new Map() };
  return scenario.steps.flatMap((step) => {
    try {
      const [, times, command = step.command] = /^(\d+)x (.*)$/.exec(step.command) ?? [];
      return Array.from({ length: Number(times ?? 1) }, () => playStep(stage, { ...step, command }))
        .flatMap((outcome) => outcome ?? [])
        .map((outcome) => ({ ...outcome, step }));
    } catch (error) {
      throw new Error(`${file}:${step.line}: ${step.command}: ${String(error)}`, { cause: error });
    }
  });
}

function playStep(stage: Stage, step: Step): Outcome | undefined {
  const [verb = "", argument = ""] = step.command.split(" ");
  if (verb === "policy") {
    stage.policy = step.block;
    return undefined;
  }
  if (verb === "remember" && stage.harness === undefined) {
    stage.harness = engineWith(stage.policy, {
      shared: stage.shared,
      idempotencyKeys: Number(argument),
    });
    return undefined;
  }
  if (verb === "at" && stage.harness === undefined) {
    stage.harness = engineWith(stage.policy, { shared: stage.shared, now: argument });
    return undefined;
  }
  const harness = (stage.harness ??= engineWith(stage.policy, { shared: stage.shared }));
  if (moveTime(harness, verb, argument)) return undefined;
  if (verb === "reload") {
    harness.reload(step.block);
    return undefined;
  }
  if (verb === "drain") {
    void harness.engine.drain();
    return undefined;
  }
  const counted = harness.counters.get(step.command.slice("count ".length)) ?? 0;
  const actual =
    verb === "count"
      ? [loudName(String(counted))]
      : factsOf(stage, harness, parseCommand(step.command));
  const expected = parseFacts(step.expected);
  const restated = restate(expected, actual).map(renderFact);
  return { step, agrees: step.expected !== "" && factsAgree(expected, actual), actual, restated };
}

function moveTime(harness: Harness, verb: string, argument: string): boolean {
  const { clock } = harness;
  if (verb === "advance") clock.advance(parseDuration(argument));
  else if (verb === "advance_without_timers") clock.advanceWithoutTimers(parseDuration(argument));
  else if (verb === "step_wall") clock.stepWall(parseDuration(argument));
  else if (verb === "at") {
    const by = new Date(argument).getTime() - clock.wall();
    if (!(by >= 0)) throw new Error(`${argument} is not after the present time`);
    clock.advance(by);
  } else return false;
  return true;
}

function factsOf(stage: Stage, harness: Harness, words: Words): readonly Fact[] {
  const { names } = stage;
  const call = callOf(words);
  const operation = operationOf(words, (alias) => names.get(alias) ?? alias);
  if (operation !== undefined) {
    const answer = harness.run(operation, call);
    if (isRejection(answer)) return rejectionFacts(answer);
    const nameOf = (id: string): string => [...names].find(([, known]) => known === id)?.[0] ?? "";
    const facts = answerFacts(answer, nameOf);
    if (answer.op === "reserve" && words.alias !== "") names.set(words.alias, answer.reservationId);
    return facts;
  }
  switch (words.verb) {
    case "balance":
      return balanceFacts(harness.balance(words.subject, words.bare[1] ?? "", call));
    case "balances":
      return harness.balances(words.subject, call).map((one) => loudName(one.limit));
    case "explain": {
      const explanation = harness.explain({ ...requestOf(words) }, call);
      return isRejection(explanation) ? rejectionFacts(explanation) : explanationFacts(explanation);
    }
    case "reservations": {
      const open = harness.reservations(words.subject).reservations;
      const nameOf = (id: string): string =>
        [...names].find(([, known]) => known === id)?.[0] ?? "other";
      return open.length === 0
        ? [loudName("none")]
        : open.map((one) => loudName(nameOf(one.reservationId)));
    }
    default:
      throw new Error(`"${words.verb}" is no command`);
  }
}

const loudName = (name: string): Fact => ({ name, words: [], fields: new Map(), loud: [] });
