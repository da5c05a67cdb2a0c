/** The flags that say where units are kept, for the sidecar and for what an operator does to the store by hand. */
import {
  isProblem,
  parseStoreUrl,
  STORE_FORMS,
  type StoreUrl,
} from "../adapters/redis/store-url.ts";
import type { RedisStoreConfig, StoreConfig } from "../compose/store-config.ts";
import type { Problem } from "./configuration.ts";
import { defaulted, optional, required, type Reader, type Values } from "./flag.ts";
import { oneOf, text } from "./reader.ts";

/** An address may hold a password: an error never repeats it. */
const storeOf =
  (forms: string): Reader<StoreUrl> =>
  (value) => {
    const url = parseStoreUrl(value, forms);
    return isProblem(url) ? url : { value: url };
  };

export const sharedStore = storeOf(STORE_FORMS);

const anyStore: Reader<StoreUrl | "memory:"> = (value) =>
  value === "memory:" ? { value } : storeOf(`memory:, ${STORE_FORMS}`)(value);

const COMMON = {
  "store-password-file": optional(
    "FILE",
    "The store's password, read again whenever it is connected to. Default: the one in the address.",
    text,
  ),
  "store-fencing": defaulted(
    "MODE",
    "replid",
    "How a store that lost data is recognised: replid, or none where a managed one hides it.",
    oneOf("replid", "none"),
  ),
  confirm: defaulted(
    "MODE",
    "auto",
    "How many replicas must have a grant before it is spent: auto, strict or off; one mode for the whole fleet.",
    oneOf("auto", "strict", "off"),
  ),
};

/** memory: is one of them. */
export const STORE_FLAGS = {
  store: defaulted(
    "URL",
    "memory:",
    `Where units are kept: memory: is this process; ${STORE_FORMS} are for a fleet. Has to be said inside Kubernetes.`,
    anyStore,
  ),
  ...COMMON,
};

export const SHARED_STORE_FLAGS = {
  store: required("URL", `The fleet's store: ${STORE_FORMS}.`, sharedStore),
  ...COMMON,
};

type StoreValues = Values<typeof STORE_FLAGS>;
type SharedStoreValues = Values<typeof SHARED_STORE_FLAGS>;

/** What no single flag can tell is wrong. */
export function checkStore(values: Partial<StoreValues>): readonly Problem[] {
  const { store, "store-password-file": file } = values;
  if (file === undefined || store === undefined || store === "memory:") return [];
  if (store.password === "") return [];
  return [
    {
      where: "--store, --store-password-file",
      found: "a password in both",
      allowed: "in one of them",
    },
  ];
}

export const sharedStoreConfig = (values: SharedStoreValues): RedisStoreConfig => ({
  kind: "redis",
  url: values.store,
  passwordFile: values["store-password-file"] ?? "",
  confirm: values.confirm,
  fencing: values["store-fencing"],
});

export const storeConfig = ({ store, ...rest }: StoreValues): StoreConfig =>
  store === "memory:" ? { kind: "memory" } : sharedStoreConfig({ store, ...rest });
