/** The few shapes of ASN.1 that a certificate is made of, in their one encoding (X.690, DER). */

const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bits: 0x03,
  octets: 0x04,
  oid: 0x06,
  utf8: 0x0c,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const;

function encode(tag: number, content: Buffer): Buffer {
  const { length } = content;
  if (length < 0x80) return Buffer.concat([Buffer.from([tag, length]), content]);
  const digits = Buffer.from(length.toString(16).padStart(length > 0xff ? 4 : 2, "0"), "hex");
  return Buffer.concat([Buffer.from([tag, 0x80 | digits.length]), digits, content]);
}

export const sequence = (...parts: readonly Buffer[]): Buffer =>
  encode(TAG.sequence, Buffer.concat(parts));

export const setOf = (part: Buffer): Buffer => encode(TAG.set, part);

export const boolean = (value: boolean): Buffer =>
  encode(TAG.boolean, Buffer.from([value ? 0xff : 0]));

/** Bytes of a number of no sign, most significant first. */
export function integer(bytes: Buffer): Buffer {
  const start = bytes.findIndex((byte) => byte !== 0);
  const digits = start === -1 ? Buffer.from([0]) : bytes.subarray(start);
  // A leading one would be a sign.
  return encode(
    TAG.integer,
    (digits[0] ?? 0) < 0x80 ? digits : Buffer.concat([Buffer.from([0]), digits]),
  );
}

export const octets = (content: Buffer): Buffer => encode(TAG.octets, content);

/** `unused`: bits at the end that mean nothing. */
export const bits = (content: Buffer, unused = 0): Buffer =>
  encode(TAG.bits, Buffer.concat([Buffer.from([unused]), content]));

export const utf8 = (text: string): Buffer => encode(TAG.utf8, Buffer.from(text, "utf8"));

/** "1.2.840.10045.2.1". */
export function oid(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split(".").map(Number);
  return encode(TAG.oid, Buffer.from([first * 40 + second, ...rest.flatMap(base128)]));
}

function base128(value: number): readonly number[] {
  const digits = [value & 0x7f];
  for (let left = value >>> 7; left > 0; left >>>= 7) digits.unshift((left & 0x7f) | 0x80);
  return digits;
}

/** To the second. The standard wants two digits for the year up to 2049. */
export function time(moment: Date): Buffer {
  const text = moment.toISOString().replace(/[-:T]|\.\d+/g, "");
  return moment.getUTCFullYear() < 2050
    ? encode(TAG.utcTime, Buffer.from(text.slice(2)))
    : encode(TAG.generalizedTime, Buffer.from(text));
}

/** A tag that the surrounding structure gives its meaning; `isWhole`: around an encoding rather than instead of it. */
export const tagged = (number: number, content: Buffer, isWhole: boolean): Buffer =>
  encode(0x80 | (isWhole ? 0x20 : 0) | number, content);
