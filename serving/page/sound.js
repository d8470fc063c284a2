// Audio that grows: 16-bit mono samples and how loud they are. Knows no player, no picture and no request.

const BLOCK = 256; // samples that share one peak
const FULL_SCALE = 32768;

export class Sound {
  #samples = new Int16Array(1 << 16);
  #peaks = []; // loudest absolute sample of each block
  /** Samples so far. */
  length = 0;
  /** Samples per second; 0 until it is known. */
  sampleRate = 0;
  /** No more will come. */
  whole = false;

  get seconds() {
    return this.sampleRate ? this.length / this.sampleRate : 0;
  }

  append(samples) {
    this.#reserve(this.length + samples.length);
    this.#samples.set(samples, this.length);
    for (let i = 0; i < samples.length; i += 1) {
      const block = Math.floor((this.length + i) / BLOCK);
      this.#peaks[block] = Math.max(this.#peaks[block] ?? 0, Math.abs(samples[i]));
    }
    this.length += samples.length;
  }

  /** Samples from..to as floats within ±1. */
  read(from, to) {
    return Float32Array.from(this.#samples.subarray(from, Math.min(to, this.length)), (sample) => sample / FULL_SCALE);
  }

  /** The loudest of the samples from..to, 0-1, to a block exactly. */
  peak(from, to) {
    const first = Math.floor(from / BLOCK);
    const blocks = this.#peaks.slice(first, Math.max(Math.ceil(to / BLOCK), first + 1));
    return blocks.reduce((loudest, peak) => Math.max(loudest, peak), 0) / FULL_SCALE;
  }

  #reserve(length) {
    if (length <= this.#samples.length) return;
    const larger = new Int16Array(Math.max(length, 2 * this.#samples.length));
    larger.set(this.#samples.subarray(0, this.length));
    this.#samples = larger;
  }
}
