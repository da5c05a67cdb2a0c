/** Reading from the API server: what may not be read, or is not there, is a finding. */
import { z } from "zod";
import { ApiError, type ApiClient } from "../../adapters/kubernetes/api-client.ts";
import { findingsAbout, type Finding } from "./finding.ts";

export type Reading<T> =
  | { readonly value: T }
  | { readonly finding: Finding; readonly isMissing: boolean };

export async function reading<T>(what: string, read: () => Promise<T>): Promise<Reading<T>> {
  try {
    return { value: await read() };
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    const finding = findingsAbout(what).unknown(error.message);
    return { finding, isMissing: error.status === 404 };
  }
}

const PAGE = 500;

const List = z.object({
  metadata: z.object({ continue: z.string().optional() }).optional(),
  items: z.array(z.unknown()),
});

export async function listAll(api: ApiClient, path: string): Promise<readonly unknown[]> {
  const items: unknown[] = [];
  let next = "";
  do {
    const page = List.parse(
      await api.get(
        `${path}?limit=${PAGE}${next === "" ? "" : `&continue=${encodeURIComponent(next)}`}`,
      ),
    );
    items.push(...page.items);
    next = page.metadata?.continue ?? "";
  } while (next !== "");
  return items;
}
