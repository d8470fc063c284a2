// The recording that goes with a form: a file of the server, lent as a link. Knows no element and no microphone.
//
// Events: "change" (anything below is another), "choose" (`chosen` is).

import { fileOf } from "./api.js";

export class Recording extends EventTarget {
  #api;
  #noun;
  #coming = Promise.resolve(true); // whether the last upload arrived
  /** {name, id of a file of the server} or {name, url of one elsewhere}; null for none. */
  chosen;
  /** The name of what is on its way to the server; "" for nothing. */
  uploading = "";
  /** Whether the microphone is still writing it. */
  beingMade = false;
  /** What went wrong with it last, for a reader. */
  problem = "";

  /** noun: what it is called, such as "voice". */
  constructor(api, noun, saved) {
    super();
    this.#api = api;
    this.#noun = noun;
    this.chosen = saved;
  }

  /**
   * A URL that is good now, or null for none, when no upload is under way. Raises Error where one was meant that is not
   * there, or ApiError.
   */
  async url() {
    if (this.beingMade) throw new Error("The microphone is still recording. Stop the recording first.");
    const arrived = await this.#coming;
    this.#coming = Promise.resolve(true); // the next time, whoever asks has seen that it failed
    if (!arrived) throw new Error(`The ${this.#noun} was not uploaded. Choose it again, or go on without it.`);
    return this.chosen?.id ? this.link() : (this.chosen?.url ?? null);
  }

  /** Links run out, so only the id is kept. Raises Error where the file is gone: it is chosen no longer. */
  async link() {
    const { id, name } = this.chosen;
    try {
      return await this.#api.link(id);
    } catch (error) {
      if (error.status !== 404) throw error;
      if (this.chosen?.id === id) this.choose(null);
      throw new Error(`The server keeps ${name} no longer. Choose it again, or go on without a ${this.#noun}.`);
    }
  }

  /** Take over that of an earlier prediction; url: null for none. */
  reuse(url, prediction) {
    const name = `${this.#noun[0].toUpperCase()}${this.#noun.slice(1)} of an earlier take`;
    const id = url && fileOf(url, prediction);
    this.choose(id ? { name, id } : url ? { name, url } : null);
  }

  choose(chosen) {
    this.chosen = chosen;
    this.#tell("");
    this.dispatchEvent(new Event("choose"));
  }

  /** Bring it to the server; whether it arrived. */
  take(file, name) {
    this.#coming = this.#upload(file, name);
    return this.#coming;
  }

  /** Say what went wrong with it. */
  fail(problem) {
    this.#tell(problem);
  }

  async #upload(file, name) {
    this.uploading = name;
    this.#tell("");
    try {
      const id = await this.#api.upload(file, name);
      this.uploading = "";
      this.choose({ name, id });
      return true;
    } catch (error) {
      this.uploading = "";
      this.#tell(error.message);
      return false;
    }
  }

  #tell(problem) {
    this.problem = problem;
    this.dispatchEvent(new Event("change"));
  }
}
