/**
 * Server reflection from the compiled contract, loaded when somebody asks: the library brings another protobuf
 * library along, and hardly any sidecar is ever asked.
 *
 * What the library makes of a loaded definition lacks the imports between files, and Python's client cannot
 * resolve google.protobuf.Duration then: it is given the compiler's own files instead.
 */
import { BinaryReader } from "@bufbuild/protobuf/wire";
import {
  type handleBidiStreamingCall,
  type Server,
  type ServiceDefinition,
  status,
  type UntypedServiceImplementation,
} from "@grpc/grpc-js";
import type { PackageDefinition } from "@grpc/proto-loader";

const PATHS = ["v1", "v1alpha"].map(
  (version) => `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`,
);

/** FileDescriptorSet: `repeated FileDescriptorProto file = 1`, each as its bytes. */
const FILE_TAG = (1 << 3) | 2;

function splitFiles(descriptorSet: Uint8Array): readonly Buffer[] {
  const reader = new BinaryReader(descriptorSet);
  const files: Buffer[] = [];
  while (reader.pos < reader.len) {
    const tag = reader.uint32();
    if (tag === FILE_TAG) files.push(Buffer.from(reader.bytes()));
    else reader.skip(tag & 7);
  }
  return files;
}

interface Loaded {
  readonly method: ServiceDefinition[string];
  readonly answer: handleBidiStreamingCall<unknown, unknown>;
}

/** The library's methods by path. */
async function load(descriptorSet: Uint8Array): Promise<ReadonlyMap<string, Loaded>> {
  const { ReflectionService } = await import("@grpc/reflection");
  // Of a definition the library reads these files alone.
  const definition: unknown = { files: { fileDescriptorProtos: splitFiles(descriptorSet) } };
  const methods = new Map<string, Loaded>();
  const taker = {
    addService(service: ServiceDefinition, implementation: UntypedServiceImplementation): void {
      for (const [name, method] of Object.entries(service)) {
        const answer = implementation[name] as Loaded["answer"];
        methods.set(method.path, { method, answer });
      }
    },
  };
  new ReflectionService(definition as PackageDefinition).addToServer(taker as Server);
  return methods;
}

/** @param descriptorSet the compiled contract with its imports (dist/imprest.binpb) */
export function addReflection(server: Server, descriptorSet: Uint8Array): void {
  let loading: Promise<ReadonlyMap<string, Loaded>> | undefined;
  let loaded: ReadonlyMap<string, Loaded> | undefined;
  for (const path of PATHS) {
    // Nothing is read or written before its answer is there.
    const method = (): Loaded["method"] => {
      const found = loaded?.get(path)?.method;
      if (found === undefined) throw new Error(`${path} is not loaded`);
      return found;
    };
    const info: ServiceDefinition[string] = {
      path,
      requestStream: true,
      responseStream: true,
      requestSerialize: (message) => method().requestSerialize(message),
      requestDeserialize: (bytes): unknown => method().requestDeserialize(bytes),
      responseSerialize: (message) => method().responseSerialize(message),
      responseDeserialize: (bytes): unknown => method().responseDeserialize(bytes),
    };
    const answer: Loaded["answer"] = (call) => {
      loading ??= load(descriptorSet);
      loading
        .then((methods) => {
          loaded = methods;
          methods.get(path)?.answer(call);
        })
        .catch((error: unknown) => {
          call.emit("error", { code: status.INTERNAL, details: String(error) });
        });
    };
    server.addService({ info }, { info: answer });
  }
}
