import { Metadata } from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { fromBinary } from "@bufbuild/protobuf";
import { createRequire } from "node:module";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createFakeQuota } from "../../support/fake-quota.ts";
import { type QuotaServer, startQuotaServer } from "../../support/quota-server.ts";

const require = createRequire(import.meta.url);
const folder = require.resolve("@grpc/reflection").replace(/src\/index\.js$/, "proto");

interface Answer {
  readonly listServicesResponse?: { readonly service: readonly { readonly name: string }[] };
  readonly fileDescriptorResponse?: { readonly fileDescriptorProto: readonly Buffer[] };
  readonly errorResponse?: { readonly errorMessage: string };
}

let service: QuotaServer;
beforeAll(async () => {
  service = await startQuotaServer(createFakeQuota());
});
afterAll(() => service.close());

/** One question on a stream of its own, as stock clients ask. */
function ask(version: "v1" | "v1alpha", question: object): Promise<Answer> {
  const name = `grpc.reflection.${version}.ServerReflection`;
  const file = `grpc/reflection/${version}/reflection.proto`;
  const definition = loadSync(file, { includeDirs: [folder], oneofs: true, bytes: Buffer });
  const { ServerReflectionInfo: method } = definition[name] as never as Record<string, never>;
  const { path, requestSerialize, responseDeserialize } = method as never as {
    path: string;
    requestSerialize: (question: object) => Buffer;
    responseDeserialize: (bytes: Buffer) => Answer;
  };
  const call = service
    .bare(service.listen[1] ?? "")
    .makeBidiStreamRequest(path, requestSerialize, responseDeserialize, new Metadata());
  return new Promise((resolve, reject) => {
    call.on("data", (answer: Answer) => {
      call.end();
      resolve(answer);
    });
    call.on("error", reject);
    call.write(question);
  });
}

test.each(["v1", "v1alpha"] as const)("%s lists QuotaService and health", async (version) => {
  const answer = await ask(version, { listServices: "" });
  const names = answer.listServicesResponse?.service.map(({ name }) => name);
  expect(names).toEqual(
    expect.arrayContaining(["imprest.v1.QuotaService", "grpc.health.v1.Health"]),
  );
});

test.each(["imprest.v1.QuotaService", "grpc.health.v1.Health", "google.rpc.ErrorInfo"])(
  "%s is described with every file that it needs",
  async (symbol) => {
    const known = new Set<string>();
    const wanted: object[] = [{ fileContainingSymbol: symbol }];
    for (let question = wanted.pop(); question !== undefined; question = wanted.pop()) {
      const answer = await ask("v1", question);
      expect(answer.errorResponse?.errorMessage).toBeUndefined();
      for (const bytes of answer.fileDescriptorResponse?.fileDescriptorProto ?? []) {
        const { name, dependency } = fromBinary(FileDescriptorProtoSchema, bytes);
        known.add(name);
        for (const file of dependency) if (!known.has(file)) wanted.push({ fileByFilename: file });
      }
    }
    expect(known.size).toBeGreaterThan(0);
  },
);

test("the contract needs the two files that its own text imports", async () => {
  const answer = await ask("v1", { fileContainingSymbol: "imprest.v1.QuotaService.Reserve" });
  const [bytes = Buffer.alloc(0)] = answer.fileDescriptorResponse?.fileDescriptorProto ?? [];
  const file = fromBinary(FileDescriptorProtoSchema, bytes);
  expect(file.dependency).toEqual([
    "google/protobuf/duration.proto",
    "google/protobuf/timestamp.proto",
  ]);
});
