// The form of one model: its text, its recording, its settings, each as the model's schema describes it. Knows the
// places of the page that forms take turns in; knows no other form and no request.
//
// Event: "change", detail: the name of the field that holds another value; null for what is no field.

import { Controls } from "./controls.js";
import { byId, element } from "./element.js";
import { Editor } from "./editor.js";
import { SPEECH } from "./kinds.js";
import { Recording } from "./recording.js";
import { Writing } from "./writing.js";

export class Form extends EventTarget {
  #memory;
  #writing;
  #recording;
  #controls;
  #fields = element("div"); // with the settings
  #words = element("div"); // with what is said of the recording
  #script = null; // the fields of the schema that have a place of their own
  #voice = null;
  #changed = 0; // settings that are not the default
  /** What the page calls each field, by its name. */
  labels = new Map();
  /** What its files may be. */
  formats = [];

  /** Of that kind, see kinds.js; empty of settings until it is laid. */
  constructor(kind, api, memory) {
    super();
    this.kind = kind;
    this.#memory = memory;
    this.#writing = this.#written((text) => this.#keep("text", text, this.#script?.name));
    this.#recording = new Recording(api, kind.recording, this.#kept("voice", null));
    this.#recording.addEventListener("choose", () => this.#keep("voice", this.#recording.chosen, this.#voice?.name));
    this.#controls = new Controls(this.#kept("values", {}), (values, name) => {
      this.#count(values);
      this.#keep("values", values, name);
    });
  }

  /** Whether it knows what its model takes. */
  get ready() {
    return this.#script !== null;
  }

  /** Whether nothing is written yet. */
  get blank() {
    return this.#writing.value === "";
  }

  /** Give every field of the schema its place. */
  lay(fields) {
    this.labels = new Map(fields.map(({ name, label }) => [name, label]));
    this.formats = fields.find(({ name }) => name === "output_format")?.choices ?? [];
    this.#script = fields.find(({ kind }) => kind === "script");
    this.#voice = fields.find(({ kind }) => kind === "voice");
    describe(this.#writing.root, this.#script);
    for (const field of fields.filter((field) => field !== this.#script && field !== this.#voice)) {
      this.#controls.add(field, this.#isOfVoice(field) ? this.#words : this.#fields);
    }
    this.#count(this.#controls.saved);
  }

  /** Take the page's places, on the card `voice` too. */
  show(voice) {
    const place = byId("writing");
    if (!place.contains(this.#writing.root)) place.replaceChildren(this.#writing.root); // moved, it would lose the focus
    byId("fields").replaceChildren(this.#fields);
    byId("voice-words").replaceChildren(this.#words);
    byId("voice-card").hidden = this.ready && !this.#voice;
    if (this.#voice) describe(byId("voice"), this.#voice);
    this.count();
    voice.turn(this.#recording);
  }

  /** Say how many settings are not the default. */
  count() {
    byId("changed").textContent = this.#changed ? `${this.#changed} changed` : "";
  }

  /** What cannot be sent at all: [{field, description}]. */
  problems() {
    return this.#controls.problems();
  }

  /** The input to send, with a link to the recording that is good now. Raises as Recording.url does. */
  async gathered() {
    const url = await this.#recording.url();
    const { value } = this.#writing;
    const values = Object.entries(this.#controls.values());
    return {
      ...((value || !this.#script.nullable) && { [this.#script.name]: value }),
      ...Object.fromEntries(values.filter(([name]) => url || !this.#isOfVoice({ name }))),
      ...(url && { [this.#voice.name]: url }),
    };
  }

  /** Take over the inputs of an earlier prediction. */
  reuse(prediction) {
    const { input } = prediction;
    this.#controls.fill(input);
    if (this.#voice) this.#recording.reuse(input[this.#voice.name] ?? null, prediction);
    this.#writing.replace(input[this.#script.name] ?? "");
  }

  /** Settings as the model has them. */
  reset() {
    this.#controls.reset();
  }

  /** Write the example in. */
  begin() {
    this.#writing.replace(this.kind.example);
  }

  #written(changed) {
    const text = this.#kept("text", "");
    if (this.kind.model === SPEECH) return new Editor(text, changed);
    return new Writing(byId("prompt-template").content.cloneNode(true).firstElementChild, text, changed);
  }

  #kept(what, fallback) {
    return this.#memory.get(this.kind.memory + what, fallback);
  }

  #keep(what, value, field = null) {
    this.#memory.set(this.kind.memory + what, value);
    this.dispatchEvent(new CustomEvent("change", { detail: field }));
  }

  /** values: those that are not the default. */
  #count(values) {
    this.#changed = Object.keys(values).filter((name) => !this.#isOfVoice({ name })).length;
  }

  #isOfVoice({ name }) {
    return Boolean(this.#voice) && name.includes(this.#voice.name);
  }
}

/** Mark a place of the page as the field's, with what the schema says of it. */
function describe(place, field) {
  place.dataset.field = field.name;
  place.querySelector("p.help").textContent = field.description;
  place.querySelector("[data-label]")?.replaceChildren(field.label);
}
