// The script's editor: the text in the colours of its speakers, and marks put in at the cursor. Knows no request.
//
// The textarea's own letters are transparent; a layer of the same size behind it shows them coloured.

import { coloured } from "./colours.js";
import { byId, element } from "./element.js";
import { CUES, cueBetween, turnBetween, turnsOf } from "./script.js";
import { Writing } from "./writing.js";

export class Editor extends Writing {
  #layer = byId("layer");
  #toolbar = byId("marks");

  /** changed(text) hears every change. */
  constructor(text, changed) {
    super(byId("script"), text, changed, lengthOf);
    this.area.addEventListener("input", () => this.#paint());
    byId("cues").append(...CUES.map(cueButton));
    this.#toolbar.addEventListener("click", (event) => this.#put(event.target.closest("button")));
    this.#toolbar.addEventListener("keydown", (event) => this.#move(event));
    this.#buttons().forEach((button, place) => (button.tabIndex = place ? -1 : 0));
    this.#paint();
  }

  #put(button) {
    if (!button) return;
    const { value, selectionStart, selectionEnd } = this.area;
    const around = [value.slice(0, selectionStart), value.slice(selectionEnd)];
    const { speaker, cue } = button.dataset;
    this.area.focus();
    this.type(speaker ? turnBetween(...around, speaker) : cueBetween(...around, cue));
  }

  #paint() {
    this.#layer.replaceChildren(...coloured(this.value), "\n"); // the last line, too, when it is empty
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

function lengthOf(text) {
  const turns = turnsOf(text);
  return `${turns} turn${turns === 1 ? "" : "s"}, ${text.length} characters`;
}

function cueButton(cue) {
  return element("button", { type: "button", className: "cue-button", "data-cue": cue }, cue);
}
