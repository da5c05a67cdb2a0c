/** Single calls, sent as messages of one Stream of their client: opened by the first, and again after it has ended. */
import type { Operation, OperationResult } from "../../src/gen/imprest/v1/quota.ts";
import type { QuotaClient, QuotaStream, Some } from "./quota-client.ts";

/** Rejects as an unavailable call does where the stream ends, and where an operation failed. */
export function overStream(client: QuotaClient): Pick<QuotaClient, "call"> {
  const waiting = new Map<bigint, PromiseWithResolvers<OperationResult>>();
  let stream: QuotaStream | undefined;
  let last = 0n;

  function open(): QuotaStream {
    const opened = client.stream();
    opened.raw.on("data", () => {
      void opened.next().then(({ sequence, results: [result] }) => {
        if (result) waiting.get(sequence)?.resolve(result);
        waiting.delete(sequence);
      });
    });
    void opened.ended.then(({ code, details }) => {
      if (stream === opened) stream = undefined;
      for (const { reject } of waiting.values()) {
        reject(Object.assign(new Error(details), { code: code === 0 ? 14 : code }));
      }
      waiting.clear();
    });
    return opened;
  }

  return {
    async call(name, request) {
      stream ??= open();
      const sequence = (last += 1n);
      const answer = Promise.withResolvers<OperationResult>();
      waiting.set(sequence, answer);
      stream.send(sequence, [{ op: { $case: name, value: request } } as Some<Operation>]);
      const { result } = await answer.promise;
      if (result?.$case !== "error") return result?.value as never;
      throw Object.assign(new Error(result.value.message), { code: result.value.code });
    },
  };
}
