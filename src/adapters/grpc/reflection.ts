/**
 * Server reflection from the compiled contract. What the library makes of a loaded definition lacks the
 * imports between files, and Python's client cannot resolve google.protobuf.Duration then: it is given the
 * compiler's own files instead.
 */
import { BinaryReader } from "@bufbuild/protobuf/wire";
import { ReflectionService } from "@grpc/reflection";
import type { PackageDefinition } from "@grpc/proto-loader";
import { service as healthService } from "grpc-health-check";

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

/** @param descriptorSet the compiled contract with its imports (dist/imprest.binpb) */
export function createReflection(
  descriptorSet: Uint8Array,
): Pick<ReflectionService, "addToServer"> {
  const [health] = Object.values(healthService);
  const fileDescriptorProtos = [
    ...splitFiles(descriptorSet),
    ...(health?.requestType.fileDescriptorProtos ?? []),
  ];
  // Of a definition the library reads these files alone.
  const definition: unknown = { files: { fileDescriptorProtos } };
  return new ReflectionService(definition as PackageDefinition);
}
