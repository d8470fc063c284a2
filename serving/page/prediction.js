// One prediction on its way: asked for until it ends, listened to while it is made. Knows no element and no player.
//
// Events: "change" (the record is newer), "audio" (the sound has grown), "lost" (no answer; it goes on asking).

import { ApiError } from "./api.js";
import { pause } from "./clock.js";
import { samplesOf } from "./pcm.js";
import { Sound } from "./sound.js";

const FINAL = new Set(["succeeded", "failed", "canceled", "aborted"]);
const ASK_EVERY = 400; // ms
const LONGEST_PAUSE = 6400; // ms between questions to a server that does not answer
const ATTEMPTS = 5; // to hear a prediction that is over

export class Prediction extends EventTarget {
  #api;
  #leaving = new AbortController();
  sound = new Sound();

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

  async cancel() {
    this.#update(await this.#api.cancel(this.id));
  }

  /** Stop following; it goes on being made. */
  leave() {
    this.#leaving.abort();
  }

  async #watch() {
    for (let wait = ASK_EVERY; !this.ended; ) {
      await pause(wait, this.#leaving.signal);
      try {
        this.#update(await this.#api.prediction(this.id, this.#leaving.signal));
        wait = ASK_EVERY;
      } catch (error) {
        if (!error.passing) throw error;
        wait = Math.min(2 * wait, LONGEST_PAUSE);
        this.#tell("lost");
      }
    }
  }

  async #listen() {
    for (let attempt = 0; attempt < ATTEMPTS; attempt += Number(this.ended)) {
      if (await this.#hear()) return;
      await pause(2 * ASK_EVERY, this.#leaving.signal);
    }
    const detail = "The audio broke off on its way. Choose Listen in the history to fetch it again.";
    throw new ApiError(0, { detail });
  }

  /** One connection; whether nothing is left to hear. */
  async #hear() {
    const { signal } = this.#leaving;
    try {
      const response = await this.#api.audio(this.id, "pcm", signal);
      this.sound.sampleRate = Number(response.headers.get("X-Sample-Rate"));
      for await (const samples of samplesOf(response.body, this.sound.length)) {
        this.sound.append(samples);
        this.#tell("audio");
      }
      // The audio ends when the prediction does: an end before that is a connection that somebody on the way closed.
      if (!this.ended) this.#update(await this.#api.prediction(this.id, signal));
      return this.ended;
    } catch (error) {
      if (signal.aborted) throw error;
      // A prediction that ended without audio has none to give; anything else, a broken stream too, is tried again.
      return this.ended && error.passing === false;
    }
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
