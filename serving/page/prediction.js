// One prediction on its way: asked for until it ends, listened to while it is made. Knows no element and no player.
//
// Events: "change" (the record is newer, or what is waited for is another), "audio" (the sound has grown).

import { ApiError } from "./api.js";
import { patiently, pause } from "./patience.js";
import { samplesOf } from "./pcm.js";
import { Sound } from "./sound.js";

const FINAL = new Set(["succeeded", "failed", "canceled"]);
const ASK_EVERY = 400; // ms

export class Prediction extends EventTarget {
  #api;
  #leaving = new AbortController();
  sound = new Sound();
  /** What keeps the server from answering, for a reader; "" while it answers. */
  trouble = "";

  /** record: the prediction as the server gave it. */
  constructor(api, record) {
    super();
    this.#api = api;
    this.record = record;
  }

  get id() {
    return this.record.id;
  }

  get ended() {
    return FINAL.has(this.record.status);
  }

  get #succeeded() {
    return this.record.status === "succeeded";
  }

  /** Resolves when it has ended and all of its audio is here, or with false when it is left. Raises ApiError. */
  async follow() {
    try {
      await Promise.all([this.#watch(), this.#listen()]);
      return true;
    } catch (error) {
      this.leave();
      if (error.name === "AbortError") return false;
      throw error;
    } finally {
      this.sound.whole = true; // also where it broke off: no more will come
      this.#tell("audio");
    }
  }

  /** Cancelling twice is cancelling once, so it is tried again where no answer comes. Raises ApiError. */
  async cancel() {
    this.#update(await this.#patiently(() => this.#api.cancel(this.id)));
  }

  /** Stop following; it goes on being made. */
  leave() {
    this.#leaving.abort();
  }

  async #watch() {
    const { signal } = this.#leaving;
    while (!this.ended) {
      await pause(ASK_EVERY, signal);
      this.#update(await this.#patiently(() => this.#api.prediction(this.id, signal)));
    }
  }

  /** To the end of the sound. Raises ApiError where one that succeeded cannot be heard whole. */
  async #listen() {
    if (this.ended && !this.#succeeded) return; // what had been made of it is kept nowhere
    while (!(await this.#patiently(() => this.#hear())));
  }

  /** One connection; whether nothing is left to hear. Raises ApiError where it brought nothing new. */
  async #hear() {
    const heard = this.sound.length;
    const broken = await this.#receive();
    // The audio ends when the prediction does, and breaks off where that does not succeed; an end before that is a
    // connection that somebody on the way closed.
    if (!this.ended) this.#update(await this.#api.prediction(this.id, this.#leaving.signal));
    if (this.ended && !(broken && this.#succeeded)) return true;
    if (this.sound.length > heard) return false;
    throw broken ?? new ApiError(0, { detail: "The audio broke off on its way." });
  }

  /** Take what a connection brings → null, or the ApiError that ended it. */
  async #receive() {
    try {
      const { sampleRate, pieces } = await this.#api.sound(this.id, this.#leaving.signal);
      this.sound.sampleRate = sampleRate;
      this.#say(""); // it answers: what is left of this may take long
      for await (const samples of samplesOf(pieces, this.sound.length)) {
        this.sound.append(samples);
        this.#tell("audio");
      }
      return null;
    } catch (error) {
      if (error instanceof ApiError) return error;
      throw error;
    }
  }

  async #patiently(ask) {
    return patiently(ask, { say: (trouble) => this.#say(trouble), signal: this.#leaving.signal });
  }

  #say(trouble) {
    if (this.trouble === trouble) return;
    this.trouble = trouble;
    this.#tell("change");
  }

  #update(record) {
    if (this.ended) return; // an answer that was asked for before a cancellation comes too late
    this.record = record;
    this.#tell("change");
  }

  #tell(type) {
    this.dispatchEvent(new Event(type));
  }
}
