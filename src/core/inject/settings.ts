/**
 * What a pod asks for by its labels and annotations. Everything that cannot be read is told at once, with what
 * may stand there; a key of ours that nobody knows is a typing mistake, not somebody else's.
 */
import { allowedWords } from "../policy/suggestion.ts";
import { limitOf, MEMORY_ALLOWED } from "./memory.ts";
import { ANNOTATION, LABEL, OURS } from "./name.ts";
import type { Pod, Texts } from "./pod.ts";
import { DEFAULT_PROFILE, LOG_LEVELS, MODES, type InjectionConfig, type Mode } from "./profile.ts";

export interface Settings {
  readonly profile: string;
  /** Names of the containers that get the socket; `undefined`: all of them. */
  readonly containers: readonly string[] | undefined;
  /** What is `undefined` the profile says. */
  readonly mode: Mode | undefined;
  readonly memoryLimit: string | undefined;
  readonly logLevel: string | undefined;
  readonly allowJob: boolean;
}

/** On pods; a key of a namespace on a pod is a mistake. */
const POD_LABELS: readonly string[] = [LABEL.inject, LABEL.tenant, LABEL.injected];
const POD_ANNOTATIONS: readonly string[] = [
  ANNOTATION.profile,
  ANNOTATION.containers,
  ANNOTATION.mode,
  ANNOTATION.memoryLimit,
  ANNOTATION.logLevel,
  ANNOTATION.allowJob,
  ANNOTATION.status,
];

const found = (text: string): string =>
  JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text);

/** Reads settings; problems are added to `problems`, and what they are about is as if it was not said. */
export function readSettings(pod: Pod, config: InjectionConfig, problems: string[]): Settings {
  const annotations: Texts = pod.annotations ?? new Map();
  checkKeys("label", pod.labels, POD_LABELS, problems);
  checkKeys("annotation", annotations, POD_ANNOTATIONS, problems);

  const oneOf = <T extends string>(key: string, words: readonly T[]): T | undefined => {
    const text = annotations.get(key);
    const word = words.find((each) => each === text);
    if (text !== undefined && word === undefined) {
      problems.push(
        `annotation ${key}: found ${found(text)}; allowed: ${allowedWords(text, words)}`,
      );
    }
    return word;
  };
  return {
    profile: oneOf(ANNOTATION.profile, [...config.profiles.keys()]) ?? DEFAULT_PROFILE,
    containers: readContainers(pod, annotations, problems),
    mode: oneOf(ANNOTATION.mode, MODES),
    memoryLimit: readMemoryLimit(annotations, problems),
    logLevel: oneOf(ANNOTATION.logLevel, LOG_LEVELS),
    allowJob: oneOf(ANNOTATION.allowJob, ["true", "false"]) === "true",
  };
}

function checkKeys(
  kind: "label" | "annotation",
  texts: Texts | undefined,
  known: readonly string[],
  problems: string[],
): void {
  for (const key of texts?.keys() ?? []) {
    if (!key.startsWith(OURS) || known.includes(key)) continue;
    const elsewhere = (kind === "label" ? POD_ANNOTATIONS : POD_LABELS).includes(key);
    const allowed = elsewhere
      ? `it is ${kind === "label" ? "an annotation" : "a label"}`
      : allowedWords(key, known);
    problems.push(`${kind} ${key}: found a key that is none; allowed: ${allowed}`);
  }
}

function readContainers(
  pod: Pod,
  annotations: Texts,
  problems: string[],
): readonly string[] | undefined {
  const text = annotations.get(ANNOTATION.containers);
  if (text === undefined) return undefined;
  const named = text.split(",").map((name) => name.trim());
  const there = [...(pod.initContainers ?? []), ...pod.containers].map(({ name }) => name);
  const missing = named.filter((name) => !there.includes(name));
  for (const name of missing) {
    problems.push(
      `annotation ${ANNOTATION.containers}: found ${found(name)}; allowed: ${allowedWords(name, there)}`,
    );
  }
  return missing.length === 0 ? named : undefined;
}

function readMemoryLimit(annotations: Texts, problems: string[]): string | undefined {
  const text = annotations.get(ANNOTATION.memoryLimit);
  if (text === undefined || limitOf(text) !== undefined) return text;
  problems.push(
    `annotation ${ANNOTATION.memoryLimit}: found ${found(text)}; allowed: ${MEMORY_ALLOWED}`,
  );
  return undefined;
}
