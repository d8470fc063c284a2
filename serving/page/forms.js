// The forms of what the server makes, one of which is shown, and the switch between them. Knows no field.
//
// Events: "turn" (another is about to be shown), "change" (the one that is shown holds another value; detail as Form's).

import { byId, element } from "./element.js";
import { Form } from "./form.js";
import { KINDS } from "./kinds.js";
import { fieldsOf } from "./schema.js";

export class Forms extends EventTarget {
  #voice;
  #memory;
  #forms;
  #shown = null;

  /** voice: the card of recordings. Until they are laid, the one that was shown last stands there. */
  constructor(api, voice, memory) {
    super();
    this.#voice = voice;
    this.#memory = memory;
    this.#forms = KINDS.map((kind) => new Form(kind, api, memory));
    for (const form of this.#forms) form.addEventListener("change", ({ detail }) => this.#changed(form, detail));
    this.turn(this.#wanted());
  }

  get shown() {
    return this.#shown;
  }

  /** What files may be, whoever makes them. */
  get formats() {
    return [...new Set(this.#forms.flatMap(({ formats }) => formats))];
  }

  /** That of a model, by its name; undefined where it has none or is not served. */
  of(model) {
    return this.#forms.find(({ kind, ready }) => ready && kind.model === model);
  }

  /** Those of the models that are served, as the server describes them. Raises Error where it serves none of them. */
  lay(models) {
    const served = new Map(models.map((model) => [`${model.owner}/${model.name}`, model]));
    this.#forms = this.#forms.filter(({ kind }) => served.has(kind.model));
    if (!this.#forms.length) throw new Error("The server serves no model that this page knows.");
    for (const form of this.#forms) form.lay(fieldsOf(served.get(form.kind.model)));
    this.#offer();
    this.turn(this.#forms.includes(this.#shown) ? this.#shown : this.#wanted());
  }

  /** Show it, and show it again when the page is opened again. */
  choose(form) {
    this.#memory.set("kind", form.kind.name);
    this.turn(form);
  }

  /** Show it for now. */
  turn(form) {
    this.#shown = form;
    const { name } = form.kind;
    for (const part of document.querySelectorAll("[data-for]")) part.hidden = !part.dataset.for.split(" ").includes(name);
    for (const choice of byId("kinds").querySelectorAll("input")) choice.checked = choice.value === name;
    this.dispatchEvent(new Event("turn"));
    form.show(this.#voice);
    byId("example").hidden = !form.blank;
  }

  /** That which was chosen last, if it is there. */
  #wanted() {
    const name = this.#memory.get("kind", "");
    return this.#forms.find(({ kind }) => kind.name === name) ?? this.#forms[0];
  }

  #changed(form, field) {
    if (form !== this.#shown) return;
    byId("example").hidden = !form.blank;
    form.count();
    this.dispatchEvent(new CustomEvent("change", { detail: field }));
  }

  /** The switch; where there is no choice, there is none. */
  #offer() {
    byId("kinds").hidden = this.#forms.length < 2;
    byId("kinds").append(...this.#forms.map((form) => choiceOf(form.kind, () => this.choose(form))));
  }
}

function choiceOf({ name, label }, chosen) {
  const input = element("input", { type: "radio", name: "kind", value: name, className: "unseen" });
  input.addEventListener("change", chosen);
  return element("label", {}, input, element("span", {}, label));
}
