// 16-bit samples from bytes as they come, and to and from base64. Knows no request, no sample rate and no player.

const BYTES_PER_SAMPLE = 2;

/**
 * Yields Int16Array blocks of little-endian 16-bit mono, whatever pieces its bytes come in. `skip` samples at the
 * beginning are passed over: they were heard on a connection that broke.
 */
export async function* samplesOf(pieces, skip = 0) {
  let unread = skip * BYTES_PER_SAMPLE;
  let rest = new Uint8Array(0); // half a sample, or nothing
  for await (const piece of pieces) {
    const fresh = piece.subarray(Math.min(unread, piece.length));
    unread -= piece.length - fresh.length;
    const bytes = joined(rest, fresh);
    const whole = bytes.length - (bytes.length % BYTES_PER_SAMPLE);
    rest = bytes.slice(whole);
    // Every browser that runs this page is little-endian, as the bytes are.
    if (whole) yield new Int16Array(bytes.buffer, 0, whole / BYTES_PER_SAMPLE);
  }
}

/** What JSON can carry of little-endian 16-bit mono. */
export function toBase64(samples) {
  const bytes = new Uint8Array(samples.buffer, samples.byteOffset, samples.byteLength);
  return btoa(String.fromCharCode(...bytes)); // of a block: a function takes no more arguments than 65,535
}

/** Whole samples alone. */
export function fromBase64(text) {
  return new Int16Array(Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)).buffer);
}

/** Both in a buffer of their own, so that samples are aligned. */
function joined(first, second) {
  const bytes = new Uint8Array(first.length + second.length);
  bytes.set(first);
  bytes.set(second, first.length);
  return bytes;
}
