// What the microphone hears, on the audio thread: resampled, as 16-bit samples in blocks. Knows no socket.

import { Resampler } from "./resampler.js";

const BLOCK = 0.04; // s

class Capture extends AudioWorkletProcessor {
  #resampler;
  #block;
  #filled = 0;

  constructor({ processorOptions: { rate } }) {
    super();
    this.#resampler = new Resampler(sampleRate, rate); // sampleRate: the context's, a global of this thread
    this.#block = new Int16Array(BLOCK * rate);
  }

  /** inputs: of one source one channel, which it has only while the source plays. */
  process([[channel]]) {
    if (channel) for (const sample of this.#resampler.push(channel)) this.#take(sample);
    return true;
  }

  #take(sample) {
    this.#block[this.#filled] = Math.max(-32768, Math.min(32767, Math.round(32768 * sample)));
    this.#filled += 1;
    if (this.#filled < this.#block.length) return;
    this.port.postMessage(this.#block); // a copy of it
    this.#filled = 0;
  }
}

registerProcessor("capture", Capture);
