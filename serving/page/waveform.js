// The picture of a sound: bars as it arrives, what has been heard in another colour; a click or an arrow key seeks.
// Knows a sound and the colours of the style sheet; knows no player. Event: "seek", detail: seconds.

import { clock } from "./clock.js";

const BAR = 3; // CSS pixels, with GAP beside each
const GAP = 2;
const FIRST_SPAN = 8; // s that the width stands for while the sound grows; a longer sound gets GROWTH times as much
const GROWTH = 1.5;
const ARROW = 1; // s that an arrow key seeks, and a page key ten times as much
const QUIETEST = 0.02; // of the height: silence is a dotted line

export class Waveform extends EventTarget {
  #canvas;
  #sound = null;
  #span = FIRST_SPAN; // s
  #position = 0; // s

  constructor(canvas) {
    super();
    this.#canvas = canvas;
    canvas.addEventListener("click", (event) => this.#seek((event.offsetX / canvas.clientWidth) * this.#span));
    canvas.addEventListener("keydown", (event) => this.#key(event));
    new ResizeObserver(() => this.#paint()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#paint());
  }

  show(sound) {
    this.#sound = sound;
    this.#span = FIRST_SPAN;
    this.draw(0);
  }

  /** position: seconds that have been heard. */
  draw(position) {
    this.#position = position;
    const { seconds, whole } = this.#sound;
    if (whole && seconds) this.#span = seconds;
    while (seconds > this.#span) this.#span *= GROWTH;
    this.#canvas.setAttribute("aria-busy", String(!whole));
    this.#canvas.setAttribute("aria-valuemax", seconds.toFixed(1));
    this.#canvas.setAttribute("aria-valuenow", position.toFixed(1));
    this.#canvas.setAttribute("aria-valuetext", `${clock(position)} of ${clock(seconds)}`);
    this.#paint();
  }

  #paint() {
    const { clientWidth: width, clientHeight: height } = this.#canvas;
    if (!width || !this.#sound) return;
    const scale = window.devicePixelRatio;
    this.#canvas.width = width * scale;
    this.#canvas.height = height * scale;
    const context = this.#canvas.getContext("2d");
    context.scale(scale, scale);
    const style = getComputedStyle(this.#canvas);
    const names = ["--wave-empty", "--wave-heard", "--wave"];
    const [empty, heard, ahead] = names.map((name) => style.getPropertyValue(name));
    for (let x = 0; x + BAR <= width; x += BAR + GAP) {
      const second = (x / width) * this.#span;
      context.fillStyle = second >= this.#sound.seconds ? empty : second < this.#position ? heard : ahead;
      const tall = Math.max(BAR, this.#peakAt(x / width, (x + BAR + GAP) / width) * height);
      context.beginPath();
      context.roundRect(x, (height - tall) / 2, BAR, tall, BAR / 2);
      context.fill();
    }
  }

  #peakAt(from, to) {
    const samples = this.#span * this.#sound.sampleRate;
    if (from * samples >= this.#sound.length) return 0;
    // The square root shows quiet speech too.
    return Math.max(QUIETEST, Math.sqrt(this.#sound.peak(from * samples, to * samples)));
  }

  #key(event) {
    const { seconds } = this.#sound;
    const steps = {
      ArrowLeft: this.#position - ARROW,
      ArrowDown: this.#position - ARROW,
      ArrowRight: this.#position + ARROW,
      ArrowUp: this.#position + ARROW,
      PageDown: this.#position - 10 * ARROW,
      PageUp: this.#position + 10 * ARROW,
      Home: 0,
      End: seconds,
    };
    if (!(event.key in steps)) return;
    event.preventDefault();
    this.#seek(steps[event.key]);
  }

  #seek(second) {
    const detail = Math.min(Math.max(0, second), this.#sound.seconds);
    this.dispatchEvent(new CustomEvent("seek", { detail }));
  }
}
