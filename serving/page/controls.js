// A control for each field of the model's schema, and the values they hold. Knows fields; knows no limit by itself.

import { element } from "./element.js";

const EMPTY = { seed: "random" }; // what a number that may stay empty means then, where it is not "none"
const LARGEST_SLIDER = 10_000; // steps; a wider range, such as a seed's, is only typed

export class Controls {
  #controls = new Map(); // name → {field, read(), write(value)}
  #changed;

  /** saved: values by name to begin with; changed(values that are not the default) hears every change. */
  constructor(saved, changed) {
    this.saved = saved;
    this.#changed = changed;
  }

  /** Make the field's control at the end of `place`. */
  add(field, place) {
    const control = MAKERS[field.kind](field);
    control.field = field;
    this.#controls.set(field.name, control);
    control.write(this.saved[field.name] ?? field.fallback);
    control.root.addEventListener("input", () => this.#tell(control));
    control.root.addEventListener("change", () => this.#settle(control));
    control.reset.addEventListener("click", () => {
      this.#write(control, field.fallback);
      control.input.focus(); // the button that had the focus is gone
    });
    control.reset.hidden = isDefault(control);
    place.append(control.root);
  }

  /** What to send: every value but the empty ones. */
  values() {
    const all = [...this.#controls].map(([name, control]) => [name, control.read()]);
    return Object.fromEntries(all.filter(([, value]) => value !== null));
  }

  /** What cannot be sent at all: [{field, description}]. */
  problems() {
    const bad = [...this.#controls.values()].filter(({ input }) => input.validity.badInput);
    return bad.map(({ field }) => ({ field: field.name, description: "is not a number." }));
  }

  /** Take over those of an earlier input; what it does not name becomes the default. */
  fill(input) {
    for (const [name, control] of this.#controls) this.#write(control, input[name] ?? control.field.fallback);
  }

  /** Back to the defaults. */
  reset() {
    this.fill({});
  }

  #write(control, value) {
    control.write(value);
    this.#tell(control);
  }

  /** A number that has to be there comes back when it was emptied. */
  #settle(control) {
    const { fallback, nullable } = control.field;
    if (control.read() === null && !nullable && !control.input.validity.badInput) this.#write(control, fallback);
  }

  #tell(control) {
    control.reset.hidden = isDefault(control);
    const changed = [...this.#controls].filter(([, other]) => !isDefault(other));
    this.#changed(Object.fromEntries(changed.map(([name, other]) => [name, other.read()])), control.field.name);
  }
}

const MAKERS = {
  number: numberControl,
  choice: choiceControl,
  switch: switchControl,
  line: (field) => lineControl(field),
  link: (field) => lineControl(field, "https://…"),
  transcript: wordsControl,
};

function isDefault({ field, read }) {
  return read() === field.fallback || (read() === "" && field.fallback === null);
}

/** A number to type, and a slider where it cannot stay empty and the range is narrow enough to be slid through. */
function numberControl(field) {
  const { minimum, maximum, step, nullable, label } = field;
  const limits = { min: minimum ?? "", max: maximum ?? "", step };
  const input = inputOf(field, { type: "number", placeholder: nullable ? (EMPTY[field.name] ?? "none") : "", ...limits });
  const slides = !nullable && (maximum - minimum) / step <= LARGEST_SLIDER;
  const slider = element("input", { type: "range", "aria-label": `${label}, slider`, ...limits });
  const follow = () => {
    slider.value = input.value;
    slider.style.setProperty("--share", (slider.value - minimum) / (maximum - minimum));
  };
  slider.addEventListener("input", () => {
    input.value = slider.value;
    follow();
  });
  input.addEventListener("input", follow);
  const write = (value) => {
    input.value = value ?? "";
    follow();
  };
  const read = () => (input.value === "" ? null : Number(input.value));
  return { ...framed(field, input, ...(slides ? [slider] : [])), read, write };
}

function choiceControl(field) {
  const options = field.choices.map((choice) => element("option", { value: choice }, choice));
  const input = element("select", { id: `control-${field.name}`, "data-control": "", ...described(field) }, ...options);
  return { ...framed(field, input), read: () => input.value, write: (value) => (input.value = value) };
}

function switchControl(field) {
  const input = inputOf(field, { type: "checkbox" });
  return { ...framed(field, input), read: () => input.checked, write: (value) => (input.checked = Boolean(value)) };
}

function lineControl(field, placeholder = "") {
  const input = inputOf(field, { type: "text", placeholder });
  return { ...framed(field, input), read: () => input.value || null, write: (value) => (input.value = value ?? "") };
}

function wordsControl(field) {
  const input = element("textarea", { id: `control-${field.name}`, rows: 3, "data-control": "", ...described(field) });
  const made = framed(field, input);
  made.root.append(input); // below its description, not beside its name
  return { ...made, read: () => input.value || null, write: (value) => (input.value = value ?? "") };
}

function inputOf(field, properties) {
  return element("input", { id: `control-${field.name}`, "data-control": "", ...described(field), ...properties });
}

function described({ name }) {
  return { "aria-describedby": `help-${name} problem-${name}` };
}

/** Name, control, what it means and what is wrong with it. */
function framed(field, input, ...below) {
  const { name, label, description } = field;
  const reset = element("button", { type: "button", className: "quiet", "aria-label": `Reset ${label}` }, "Reset");
  const root = element(
    "div",
    { className: "field", "data-field": name },
    element("div", { className: "field-head" }, element("label", { htmlFor: `control-${name}` }, label), reset, input),
    ...below,
    element("p", { className: "help", id: `help-${name}` }, description, " ", element("span", {}, rangeOf(field))),
    element("p", { className: "problem", id: `problem-${name}`, hidden: true }),
  );
  return { root, input, reset };
}

/** "1 to 5, default 3." */
function rangeOf({ minimum, maximum, fallback, nullable }) {
  const range = minimum === undefined || maximum === undefined ? "" : `${minimum} to ${maximum}`;
  const empty = nullable ? "may stay empty" : fallback === null ? "" : `default ${fallback}`;
  const words = [range, empty].filter(Boolean).join(", ");
  return words && `${words[0].toUpperCase()}${words.slice(1)}.`;
}
