/** Which of a Cluster's 16,384 slots a key is in. */

const SLOTS = 16_384;

/** CRC16 of the XMODEM kind, as the Cluster specification has it, a bit at a time: few keys are ever asked for. */
function crc16(bytes: Uint8Array): number {
  let crc = 0;
  for (const byte of bytes) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit += 1) {
      crc = (crc & 0x8000) === 0 ? crc << 1 : (crc << 1) ^ 0x1021;
    }
    crc &= 0xffff;
  }
  return crc;
}

/** Of a key with braces what is in the first pair counts, unless that is nothing. */
export function hashSlot(key: string): number {
  const tag = /^[^{]*\{([^}]+)\}/.exec(key)?.[1];
  return crc16(Buffer.from(tag ?? key)) % SLOTS;
}
