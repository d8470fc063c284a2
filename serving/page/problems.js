// What is wrong, beside the field that it is about. Knows fields by their names and labels; knows no request.
//
// A field is an element with data-field=NAME around one p.problem and the control (data-control) that it is about.

import { byId } from "./element.js";

export class Problems {
  #general = byId("problem");
  #labels;

  /** labels: Map of a field's name to what the page calls it. */
  constructor(labels) {
    this.#labels = labels;
  }

  /** Show [{field, description}]; what names no field of this page, and `message`, stand beside the Generate button. */
  show(problems, message = "") {
    this.clear();
    const placed = problems.filter(({ field, description }) => this.#place(field, description));
    const others = problems.filter((problem) => !placed.includes(problem));
    const lines = others.map(({ field, description }) => `${field} ${description}`);
    this.say([...lines, ...(problems.length ? [] : [message])].filter(Boolean).join(" "));
    document.querySelector("[data-field] [aria-invalid=true]")?.focus();
  }

  /** A problem of no field. */
  say(text) {
    this.#general.textContent = text;
    this.#general.hidden = !text;
  }

  clear(field = null) {
    const chosen = field === null ? "[data-field]" : `[data-field="${CSS.escape(field)}"]`;
    for (const place of document.querySelectorAll(chosen)) mark(place, "");
    this.say("");
  }

  #place(field, description) {
    const place = document.querySelector(`[data-field="${CSS.escape(field)}"]`);
    if (!place || place.closest("[hidden]")) return false;
    place.closest("details")?.setAttribute("open", "");
    // The server's sentence goes on where the field's name ends: "is 9; it must lie between 1 and 5."
    const goesOn = /^\p{Ll}/u.test(description);
    mark(place, goesOn ? `${this.#labels.get(field) ?? field} ${description}` : description);
    return true;
  }
}

function mark(place, text) {
  const shown = place.querySelector(".problem");
  shown.textContent = text;
  shown.hidden = !text;
  for (const control of place.querySelectorAll("[data-control]")) {
    control.setAttribute("aria-invalid", String(Boolean(text)));
  }
}
