// The voices in which talk can be heard: those that are always there, and one's own stored ones. Knows the select that
// offers them; knows no conversation.
//
// Event: "choose" (somebody has chosen another one).

import { byId, element } from "./element.js";
import { patiently } from "./patience.js";

export class Voices extends EventTarget {
  #api;
  #wanted; // also while it is not offered
  #asked = null; // the last question for those that are stored
  #select = byId("talk-voice");
  #stored = byId("talk-stored");

  /** wanted: as an option of the select has it. */
  constructor(api, wanted) {
    super();
    this.#api = api;
    this.#wanted = wanted;
    this.#settle();
    this.#select.addEventListener("change", () => {
      this.#wanted = this.#select.value;
      this.dispatchEvent(new Event("choose"));
    });
  }

  /** What is offered now and chosen. */
  get chosen() {
    return this.#select.value;
  }

  /** Offer those that are stored by now. */
  async refresh() {
    const asked = this.#options();
    this.#asked = asked;
    const options = await asked;
    if (asked !== this.#asked) return; // a later question's answer came first, and stands
    this.#stored.replaceChildren(...options);
    this.#stored.hidden = options.length === 0;
    this.#settle();
  }

  async #options() {
    try {
      const voices = await patiently(() => this.#api.voices());
      return voices.map(({ id, name }) => element("option", { value: id, textContent: name }));
    } catch (error) {
      return [element("option", { disabled: true, textContent: `They cannot be listed: ${error.message}` })];
    }
  }

  #settle() {
    this.#select.value = this.#wanted;
    if (!this.#select.value) this.#select.selectedIndex = 0;
  }
}
