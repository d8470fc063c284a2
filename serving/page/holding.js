// A button that is held down, by a pointer or by its keys; a short press holds it until the next one, for whoever cannot
// hold, and for readers that only click. Knows no meaning of it.
//
// Events: "press", "release", "latch" (it stays down although it was let go).

const SHORT = 300; // ms
const KEYS = new Set([" ", "Enter"]);

export class Holding extends EventTarget {
  #button;
  #by = null; // the key, or "pointer", that holds it down
  #since = 0; // ms
  #pointed = false; // the click that is to come is a pointer's, whose press has been heard of
  held = false;

  constructor(button) {
    super();
    this.#button = button;
    button.addEventListener("pointerdown", (event) => this.#point(event));
    button.addEventListener("pointerup", (event) => this.#lift(event));
    button.addEventListener("pointercancel", () => this.#abandon());
    button.addEventListener("keydown", (event) => this.#key(event));
    button.addEventListener("keyup", (event) => KEYS.has(event.key) && this.#up(event.key, event));
    button.addEventListener("click", () => this.#click());
    button.addEventListener("contextmenu", (event) => event.preventDefault()); // a long touch asks for it
    button.addEventListener("blur", () => this.#abandon());
    window.addEventListener("blur", () => this.#abandon()); // what is let go elsewhere is not heard of
  }

  /** Whether it stays down with nothing upon it. */
  get latched() {
    return this.held && this.#by === null;
  }

  /** It is up, and nobody hears of it. */
  reset() {
    this.#by = null;
    this.#hold(false);
  }

  #point(event) {
    if (event.button !== 0) return;
    this.#pointed = true;
    this.#button.setPointerCapture(event.pointerId); // let go beside the button is let go
    this.#down("pointer", event);
  }

  #lift(event) {
    setTimeout(() => (this.#pointed = false)); // after its click, if one comes
    this.#up("pointer", event);
  }

  #key(event) {
    if (!KEYS.has(event.key) || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault(); // no click beside it
    if (!event.repeat) this.#down(event.key, event);
  }

  #click() {
    if (!this.#pointed) this.#turn();
  }

  #down(by, { timeStamp }) {
    this.#by = this.held ? null : by;
    this.#since = timeStamp;
    this.#turn();
  }

  #up(by, event) {
    event.preventDefault();
    if (this.#by !== by) return;
    this.#by = null;
    if (event.timeStamp - this.#since >= SHORT) this.#turn();
    else this.dispatchEvent(new Event("latch"));
  }

  #abandon() {
    this.#pointed = false;
    if (this.#by === null) return;
    this.#by = null;
    this.#turn();
  }

  #turn() {
    this.#hold(!this.held);
    this.dispatchEvent(new Event(this.held ? "press" : "release"));
  }

  #hold(held) {
    this.held = held;
    this.#button.setAttribute("aria-pressed", String(held));
  }
}
