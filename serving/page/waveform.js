// The picture of a sound: bars as it arrives, what has been heard in another colour; a click or an arrow key seeks.
// Knows a sound and the colours of the style sheet; knows no player. Event: "seek", detail: seconds.

import { clock } from "./clock.js";

const BAR = 3; // CSS pixels, with GAP beside each
const GAP = 2;
const FIRST_SPAN = 8; // s that the width stands for while the sound grows; a longer sound gets GROWTH times as much
const GROWTH = 1.5;
const ARROW = 1; // s that an arrow key seeks, and a page key ten times as much
const QUIETEST = 0.02; // of the height: silence is a dotted line
const LINE = 2; // CSS pixels, of the mark of the position
const TELL_EVERY = 5000; // ms between words for a screen reader, which would else speak over what is played

export class Waveform extends EventTarget {
  #canvas;
  #sound = null;
  #span = FIRST_SPAN; // s
  #position = 0; // s
  #told = { what: "", at: 0 }; // what the words depend on, and when they were last said

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
    this.#told.what = "";
    this.draw(0);
  }

  /** position: seconds that have been heard. */
  draw(position, playing = false) {
    this.#position = position;
    const { seconds, whole } = this.#sound;
    if (whole && seconds) this.#span = seconds;
    while (seconds > this.#span) this.#span *= GROWTH;
    this.#tell(playing ? `playing ${whole}` : `${position} ${whole}`);
    this.#paint();
  }

  /** At once where `what` is another than before, as after a seek; else now and then. */
  #tell(what) {
    const now = performance.now();
    if (what === this.#told.what && now - this.#told.at < TELL_EVERY) return;
    this.#told = { what, at: now };
    const { seconds, whole } = this.#sound;
    this.#canvas.setAttribute("aria-busy", String(!whole));
    this.#canvas.setAttribute("aria-valuemax", seconds.toFixed(1));
    this.#canvas.setAttribute("aria-valuenow", this.#position.toFixed(1));
    this.#canvas.setAttribute("aria-valuetext", `${clock(this.#position)} of ${clock(seconds)}`);
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
    const names = ["--wave-empty", "--wave-heard", "--wave", "--ink"];
    const [empty, heard, ahead, ink] = names.map((name) => style.getPropertyValue(name));
    for (let x = 0; x + BAR <= width; x += BAR + GAP) {
      const second = (x / width) * this.#span;
      context.fillStyle = second >= this.#sound.seconds ? empty : second < this.#position ? heard : ahead;
      const tall = Math.max(BAR, this.#peakAt(x / width, (x + BAR + GAP) / width) * height);
      context.beginPath();
      context.roundRect(x, (height - tall) / 2, BAR, tall, BAR / 2);
      context.fill();
    }
    context.fillStyle = ink;
    context.fillRect(Math.min((this.#position / this.#span) * width, width - LINE), 0, LINE, height);
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
    this.#told.what = ""; // so that the new place is said at once
    this.dispatchEvent(new CustomEvent("seek", { detail }));
  }
}
