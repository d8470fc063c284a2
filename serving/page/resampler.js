// Audio at one rate → the same at another, in a stream: windowed-sinc interpolation. Knows no microphone and no thread.

const ZERO_CROSSINGS = 24; // of the sinc on each side, at the lower of both rates: how steep the filter is
const PASSED = 0.92; // of what the lower rate can hold; the rest is the filter's slope
const [BLACKMAN_MEAN, BLACKMAN_FIRST, BLACKMAN_SECOND] = [0.42, 0.5, 0.08]; // side lobes below −58 dB

export class Resampler {
  #step; // input samples for as many output samples as there are kernels
  #kernels;
  #reach; // input samples that an output sample is made of, on each side
  #held; // input that is still needed; in front of the first sample there was silence
  #at; // in it, the last input sample that is not behind the next output sample
  #phase = 0; // of the next output sample, in steps of 1 / kernels between two input samples

  /** Rates in Hz, integers. */
  constructor(from, to) {
    const shared = divisorOf(from, to);
    this.#step = from / shared;
    this.#reach = Math.ceil((ZERO_CROSSINGS * Math.max(from, to)) / to);
    const cutoff = PASSED * Math.min(1, to / from); // of the input's Nyquist frequency
    const phases = to / shared;
    this.#kernels = Array.from({ length: phases }, (_, phase) => kernelOf(phase / phases, this.#reach, cutoff));
    this.#held = new Float32Array(this.#reach - 1);
    this.#at = this.#reach - 1;
  }

  /** Floats → those that are due by now: the same samples, however the input is cut. */
  push(samples) {
    const input = joined(this.#held, samples);
    const phases = this.#kernels.length;
    const output = [];
    while (this.#at + this.#reach < input.length) {
      output.push(weighed(input, this.#at + 1 - this.#reach, this.#kernels[this.#phase]));
      this.#phase += this.#step;
      this.#at += Math.floor(this.#phase / phases);
      this.#phase %= phases;
    }
    const done = Math.min(this.#at + 1 - this.#reach, input.length);
    this.#held = input.slice(done);
    this.#at -= done;
    return Float32Array.from(output);
  }
}

/** Weights for the `reach` input samples on each side of a place `fraction` behind one of them; together they are 1. */
function kernelOf(fraction, reach, cutoff) {
  const distances = Array.from({ length: 2 * reach }, (_, i) => i + 1 - reach - fraction);
  const weights = distances.map((distance) => sinc(cutoff * distance) * blackman(distance / reach));
  const sum = weights.reduce((whole, weight) => whole + weight);
  return Float32Array.from(weights, (weight) => weight / sum);
}

function sinc(x) {
  return x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
}

/** −1 to 1 → the window's height there. */
function blackman(x) {
  return BLACKMAN_MEAN + BLACKMAN_FIRST * Math.cos(Math.PI * x) + BLACKMAN_SECOND * Math.cos(2 * Math.PI * x);
}

function weighed(input, from, kernel) {
  let sum = 0;
  for (let i = 0; i < kernel.length; i += 1) sum += kernel[i] * input[from + i];
  return sum;
}

function joined(first, second) {
  const both = new Float32Array(first.length + second.length);
  both.set(first);
  both.set(second, first.length);
  return both;
}

function divisorOf(a, b) {
  return b === 0 ? a : divisorOf(b, a % b);
}
