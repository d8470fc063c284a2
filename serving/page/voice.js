// The voice to clone: a file or a recording, kept by the server, and shown with its name. Knows no other input.
//
// Event: "change" (there is another voice, or none).

import { clock } from "./clock.js";
import { byId } from "./element.js";
import { Recorder, endingOf } from "./recorder.js";

const METER_EVERY = 100; // ms

export class Voice extends EventTarget {
  #api;
  #recorder = new Recorder();
  #file = byId("voice-file");
  #preview = byId("voice-preview");
  #metering = null;
  #coming = Promise.resolve(true); // whether the last upload arrived
  /** {url, name}, or null. */
  chosen;

  constructor(api, saved) {
    super();
    this.#api = api;
    this.chosen = saved;
    byId("voice-choose").addEventListener("click", () => this.#file.click());
    this.#file.addEventListener("change", () => this.#take(this.#file.files[0], this.#file.files[0].name));
    byId("voice-remove").addEventListener("click", () => this.#remove());
    byId("voice-stop").addEventListener("click", () => this.#stop());
    byId("voice-record").addEventListener("click", () => this.#record());
    byId("voice-record").hidden = !Recorder.possible;
    this.#preview.addEventListener("error", () => (this.#preview.hidden = true));
    this.#showChosen();
  }

  /** The URL, or null for no voice, when no upload is under way. Raises Error where one was meant that is not there. */
  async url() {
    if (this.#metering) throw new Error("The voice is still being recorded. Stop the recording first.");
    const arrived = await this.#coming;
    this.#coming = Promise.resolve(true); // the next time, whoever asks has seen that it failed
    if (!arrived) throw new Error("The voice was not uploaded. Choose it again, or go on without it.");
    return this.chosen?.url ?? null;
  }

  /** Take over the voice of an earlier prediction, by its URL; null for none. */
  set(url, name) {
    this.#choose(url ? { url, name } : null);
  }

  #take(file, name) {
    this.#file.value = ""; // so that the same file can be chosen again
    this.#coming = this.#upload(file, name);
  }

  async #upload(file, name) {
    this.#show("busy");
    byId("voice-busy-name").textContent = `Uploading ${name}…`;
    this.#say("");
    try {
      this.#choose({ url: await this.#api.upload(file, name), name });
      return true;
    } catch (error) {
      this.#showChosen();
      this.#say(error.message);
      return false;
    } finally {
      // The button that had the focus is gone; whoever went on meanwhile is left alone.
      if (document.activeElement === document.body) byId(this.chosen ? "voice-remove" : "voice-choose").focus();
    }
  }

  async #record() {
    this.#say("");
    try {
      await this.#recorder.start();
    } catch (error) {
      return this.#say(`The microphone cannot be used: ${error.message}.`);
    }
    this.#show("recording");
    byId("voice-stop").focus();
    const began = performance.now();
    this.#metering = setInterval(() => this.#meter((performance.now() - began) / 1000), METER_EVERY);
    return undefined;
  }

  async #stop() {
    clearInterval(this.#metering);
    this.#metering = null;
    const recording = await this.#recorder.stop();
    this.#take(recording, `recording.${endingOf(recording)}`);
  }

  #meter(seconds) {
    byId("voice-time").textContent = clock(seconds);
    byId("voice-level").value = Math.sqrt(this.#recorder.level);
  }

  #remove() {
    this.#choose(null);
    byId("voice-choose").focus();
  }

  #choose(chosen) {
    this.chosen = chosen;
    this.#showChosen();
    this.#say("");
    this.dispatchEvent(new Event("change"));
  }

  #showChosen() {
    this.#show(this.chosen ? "chosen" : "empty");
    byId("voice-words").hidden = !this.chosen;
    byId("voice-name").textContent = this.chosen?.name ?? "";
    // A file in a bucket of another origin is not for this page to fetch.
    this.#preview.hidden = !this.chosen || new URL(this.chosen.url, location.href).origin !== location.origin;
    if (this.#preview.hidden) this.#preview.removeAttribute("src");
    else this.#preview.src = this.chosen.url;
  }

  #show(state) {
    for (const part of document.querySelectorAll("[data-voice]")) part.hidden = part.dataset.voice !== state;
  }

  #say(problem) {
    const place = byId("voice").querySelector(".problem");
    place.textContent = problem;
    place.hidden = !problem;
  }
}
