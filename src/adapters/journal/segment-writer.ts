/** Appends frames to the file in use, and begins the next one. Whatever goes wrong is thrown. */
import { closeSync, fdatasync, openSync, renameSync, writeSync } from "node:fs";
import { promisify } from "node:util";
import { segmentPath } from "./directory.ts";
import { encodeFrame } from "./frame.ts";

export interface SegmentWriter {
  /** One frame, handed to the system whole. */
  append(payload: string): void;
  /** Goes on in a new file; returns the path of the one before. */
  begin(header: string): string;
  /** Bytes in the file in use. */
  bytes(): number;
  /** Syncs what was appended to the device. */
  sync(): Promise<void>;
  /** Tells whoever reads the file that its last write failed. */
  markFailed(): void;
  close(): void;
}

export interface WriterOptions {
  readonly directory: string;
  /** Of the file to begin with, and of its first frame. */
  readonly segment: number;
  readonly frame: number;
  readonly header: string;
}

const toDevice = promisify(fdatasync);

export function createSegmentWriter(options: WriterOptions): SegmentWriter {
  const { directory } = options;
  let { segment, frame } = options;
  const pathNow = (): string => segmentPath(directory, segment);
  const open = (): number => openSync(pathNow(), "ax", 0o600);
  let file = open();
  let bytes = 0;
  let isSynced = true;
  /** One after the other, so that a file is closed only after all that waits for it. */
  let syncing: Promise<void> = Promise.resolve();
  const syncNext = (which: number): Promise<void> =>
    (syncing = syncing.then(() => toDevice(which)));

  const writer: SegmentWriter = {
    append(payload) {
      const whole = encodeFrame(frame, payload);
      isSynced = false;
      for (let at = 0; at < whole.length;) at += writeSync(file, whole, at);
      frame++;
      bytes += whole.length;
    },
    begin(header) {
      const before = { file, path: pathNow() };
      segment++;
      file = open();
      bytes = 0;
      writer.append(header);
      const close = (): void => closeSync(before.file);
      syncNext(before.file).then(close, close); // what fails is told by the next `sync`
      return before.path;
    },
    bytes: () => bytes,
    sync() {
      if (isSynced) return syncing;
      isSynced = true;
      return syncNext(file);
    },
    markFailed: () => renameSync(pathNow(), segmentPath(directory, segment, "failed")),
    close: () => closeSync(file),
  };
  writer.append(options.header);
  return writer;
}
