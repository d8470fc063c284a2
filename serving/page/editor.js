// The script's editor: the text in the colours of its speakers, and marks put in at the cursor. Knows no request.
//
// The textarea's own letters are transparent; a layer of the same size behind it shows them coloured.

import { coloured } from "./colours.js";
import { byId, element } from "./element.js";
import { CUES, cueBetween, turnBetween, turnsOf } from "./script.js";

const EXAMPLE = `[S1] Did you hear that? Somebody left the studio light on again.
[S2] (laughs) That was me. I wanted to try one more take.
[S1] At midnight? (sighs) Well, since we are both here, read me the first line.
[S2] (clears throat) Once upon a time, two voices shared a single page.`;

export class Editor {
  #text = byId("text");
  #layer = byId("layer");
  #count = byId("count");
  #example = byId("example");
  #toolbar = byId("marks");

  /** changed(text) hears every change. */
  constructor(text, changed) {
    this.#text.value = text;
    this.#text.addEventListener("input", () => {
      this.#show();
      changed(this.value);
    });
    this.#example.addEventListener("click", () => this.replace(EXAMPLE));
    byId("cues").append(...CUES.map(cueButton));
    this.#toolbar.addEventListener("click", (event) => this.#put(event.target.closest("button")));
    this.#toolbar.addEventListener("keydown", (event) => this.#move(event));
    this.#buttons().forEach((button, place) => (button.tabIndex = place ? -1 : 0));
    this.#show();
  }

  get value() {
    return this.#text.value;
  }

  /** Another script instead; the browser's undo brings the old one back. */
  replace(text) {
    this.#text.focus();
    this.#text.select();
    this.#type(text);
  }

  #put(button) {
    if (!button) return;
    const { value, selectionStart, selectionEnd } = this.#text;
    const around = [value.slice(0, selectionStart), value.slice(selectionEnd)];
    const { speaker, cue } = button.dataset;
    this.#text.focus();
    this.#type(speaker ? turnBetween(...around, speaker) : cueBetween(...around, cue));
  }

  /** Put in as if typed, so that undo works; where a browser has given that command up, without undo. */
  #type(text) {
    if (document.execCommand("insertText", false, text)) return;
    this.#text.setRangeText(text, this.#text.selectionStart, this.#text.selectionEnd, "end");
    this.#text.dispatchEvent(new Event("input"));
  }

  #show() {
    this.#layer.replaceChildren(...coloured(this.value), "\n"); // the last line, too, when it is empty
    const turns = turnsOf(this.value);
    this.#count.textContent = `${turns} turn${turns === 1 ? "" : "s"}, ${this.value.length} characters`;
    this.#count.hidden = this.value === "";
    this.#example.hidden = this.value !== "";
  }

  /** The toolbar is one stop of the Tab key; arrows move inside it. */
  #move(event) {
    const buttons = this.#buttons();
    const here = buttons.indexOf(document.activeElement);
    const there = { ArrowRight: here + 1, ArrowLeft: here - 1, Home: 0, End: -1 }[event.key];
    if (there === undefined) return;
    event.preventDefault();
    const target = buttons.at(there % buttons.length);
    buttons.forEach((button) => (button.tabIndex = button === target ? 0 : -1));
    target.focus();
  }

  #buttons() {
    return [...this.#toolbar.querySelectorAll("button")];
  }
}

function cueButton(cue) {
  return element("button", { type: "button", className: "cue-button", "data-cue": cue }, cue);
}
