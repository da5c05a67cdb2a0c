/**
 * The rules of a plan, and of a tenant laid over them. A rule of a tenant is checked as it will be after the
 * overlay; what is wrong then is told at the tenant's entry, unless the plan's own rule has the same fault and
 * it has been told there.
 */
import type { Rules } from "./document.ts";
import { NAME_ALLOWED } from "./level.ts";
import {
  at,
  formatPath,
  isMap,
  isPresent,
  items,
  refuse,
  textAt,
  type Node,
  type Problem,
  type Report,
  type Spot,
} from "./node.ts";
import { layNode, type OwnRules } from "./overlay.ts";
import { readActions, readBreaker, readLoop } from "./validate-guard.ts";
import { readLimit, readMode, type RuleContext } from "./validate-limit.ts";

/** A plan's rule as written, for tenants to be laid over. */
interface Written {
  readonly node: Node;
  /** Signatures of the problems that were told of it. */
  readonly faults: ReadonlySet<string>;
}

const LISTS = ["limits", "breakers", "loops"] as const;
type WrittenList = ReadonlyMap<string, Written>;
type WrittenPlan = Readonly<Record<(typeof LISTS)[number], WrittenList>>;

export interface ReadPlan {
  readonly rules: Rules;
  readonly written: WrittenPlan;
}

interface ReadList<T> {
  readonly rules: T[];
  readonly written: WrittenList;
}

type ReadRule<T> = (spot: Spot, context: RuleContext) => T;

/** What tenants are laid over: a plan, nothing, or a plan that could not be read. */
export type Below = ReadPlan | "nothing" | "unknown";

const signature = (problem: Problem, depth: number): string =>
  `${formatPath(problem.path.slice(depth))}\n${problem.found}\n${problem.allowed}`;

/** A list of named rules, as it stands. */
export function readNamed<T>(list: Spot, context: RuleContext, read: ReadRule<T>): ReadList<T> {
  const written = new Map<string, Written>();
  const rules = readEach(list, (item, name) => {
    const faults = new Set<string>();
    const report: Report = (problem) => {
      faults.add(signature(problem, item.path.length));
      item.report(problem);
    };
    const rule = read({ ...item, report }, context);
    written.set(name, { node: item.node ?? null, faults });
    return rule;
  });
  return { rules, written };
}

function readEach<T>(list: Spot, read: (item: Spot, name: string) => T): T[] {
  const seen = new Set<string>();
  return items(list).flatMap((item) => {
    if (!isMap(item.node)) return [];
    const place = at(item, "name");
    isPresent(place, NAME_ALLOWED);
    const name = textAt(place);
    if (name !== "" && seen.has(name)) refuse(place, "each name once in a list");
    seen.add(name);
    return [read(item, name)];
  });
}

/** The same of a tenant: each rule laid over the one of that name below it. */
function readLaid<T>(list: Spot, below: WrittenList | "unknown", read: (spot: Spot) => T): T[] {
  return readEach(list, (item, name) => {
    const under = below === "unknown" ? undefined : below.get(name);
    const report: Report = (problem) => {
      // What a plan that could not be read would have supplied is not missing here.
      if (below === "unknown" && (problem.found === "nothing" || problem.found === "none of them"))
        return;
      if (under?.faults.has(signature(problem, item.path.length))) return;
      item.report(problem);
    };
    return read({ node: layNode(under?.node, item.node ?? null), path: item.path, report });
  });
}

export function readPlan(spot: Spot, context: RuleContext): ReadPlan {
  const limits = readNamed(at(spot, "limits"), context, readLimit);
  const breakers = readNamed(at(spot, "breakers"), context, readBreaker);
  const loops = readNamed(at(spot, "loops"), context, readLoop);
  return {
    rules: {
      mode: readMode(at(spot, "mode")),
      limits: limits.rules,
      breakers: breakers.rules,
      loops: loops.rules,
      ...readReplaced(spot),
    },
    written: { limits: limits.written, breakers: breakers.written, loops: loops.written },
  };
}

export function readOwnRules(spot: Spot, below: Below, context: RuleContext): OwnRules {
  const written = (list: (typeof LISTS)[number]): WrittenList | "unknown" => {
    if (below === "unknown") return below;
    return below === "nothing" ? new Map() : below.written[list];
  };
  const mode = at(spot, "mode");
  return {
    ...(mode.node === undefined ? {} : { mode: readMode(mode) }),
    limits: readLaid(at(spot, "limits"), written("limits"), (rule) => readLimit(rule, context)),
    breakers: readLaid(at(spot, "breakers"), written("breakers"), (rule) =>
      readBreaker(rule, context),
    ),
    loops: readLaid(at(spot, "loops"), written("loops"), (rule) => readLoop(rule, context)),
    ...readReplaced(spot),
  };
}

function readReplaced(spot: Spot): Pick<OwnRules, "allow" | "deny" | "onDeny"> {
  const allow = readActions(at(spot, "allow"));
  const deny = readActions(at(spot, "deny"));
  const onDeny = at(spot, "on_deny");
  const said = { message: textAt(at(onDeny, "message")), url: textAt(at(onDeny, "url")) };
  return {
    ...(allow === undefined ? {} : { allow }),
    ...(deny === undefined ? {} : { deny }),
    ...(isMap(onDeny.node) ? { onDeny: said } : {}),
  };
}
