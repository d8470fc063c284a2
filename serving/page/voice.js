// The voice to clone: a file or a recording, kept by the server, and shown with its name. Knows no other input.
//
// Event: "change" (there is another voice, or none).

import { announce } from "./announcer.js";
import { fileOf } from "./api.js";
import { clock } from "./clock.js";
import { takeDrops } from "./dropping.js";
import { byId } from "./element.js";
import { patiently } from "./patience.js";
import { Recorder, endingOf } from "./recorder.js";

const METER_EVERY = 100; // ms
const STALE = 600_000; // ms, then what does not play may be a link that has run out

export class Voice extends EventTarget {
  #api;
  #recorder = new Recorder();
  #file = byId("voice-file");
  #record = byId("voice-record");
  #preview = byId("voice-preview");
  #previewed = 0; // ms, when the preview got its link
  #metering = null;
  #state = "empty"; // or recording, busy, chosen
  #coming = Promise.resolve(true); // whether the last upload arrived
  /** {name, id of a file of the server} or {name, url of one elsewhere}; null for none. */
  chosen;

  constructor(api, saved) {
    super();
    this.#api = api;
    this.chosen = saved;
    byId("voice-choose").addEventListener("click", () => this.#file.click());
    this.#file.addEventListener("change", () => this.#take(this.#file.files[0], this.#file.files[0].name));
    takeDrops(byId("voice-card"), (files) => this.#dropped(files));
    byId("voice-remove").addEventListener("click", () => this.#remove());
    byId("voice-stop").addEventListener("click", () => this.#stop());
    this.#record.addEventListener("click", () => this.#start());
    this.#record.hidden = !Recorder.possible;
    this.#preview.addEventListener("error", () => this.#silent());
    this.#showChosen();
  }

  /**
   * A URL that is good now, or null for no voice, when no upload is under way. Raises Error where a voice was meant that
   * is not there, or ApiError.
   */
  async url() {
    if (this.#state === "recording") throw new Error("The voice is still being recorded. Stop the recording first.");
    const arrived = await this.#coming;
    this.#coming = Promise.resolve(true); // the next time, whoever asks has seen that it failed
    if (!arrived) throw new Error("The voice was not uploaded. Choose it again, or go on without it.");
    return this.chosen?.id ? this.#link() : (this.chosen?.url ?? null);
  }

  /** Take over the voice of an earlier prediction; url: null for none. */
  reuse(url, prediction) {
    const name = "Voice of an earlier take";
    const id = url && fileOf(url, prediction);
    this.#choose(id ? { name, id } : url ? { name, url } : null);
  }

  /** Links run out, so only the id is kept. Raises Error where the file is gone: the voice goes too. */
  async #link() {
    const { id, name } = this.chosen;
    try {
      return await this.#api.link(id);
    } catch (error) {
      if (error.status !== 404) throw error;
      if (this.chosen?.id === id) this.#choose(null);
      throw new Error(`The server keeps ${name} no longer. Choose it again, or go on without a voice.`);
    }
  }

  #dropped([file, ...others]) {
    if (this.#state === "recording" || this.#state === "busy") return;
    const isSound = file && /^(audio\/|video\/|$)/.test(file.type); // not every system knows the type of a file
    if (others.length || !isSound) return this.#say("Drop one recording.");
    this.#take(file, file.name);
  }

  #take(file, name) {
    this.#file.value = ""; // so that the same file can be chosen again
    this.#coming = this.#upload(file, name);
  }

  async #upload(file, name) {
    this.#show("busy");
    byId("voice-busy-name").textContent = `Uploading ${name}…`;
    announce(`Uploading ${name}…`);
    this.#say("");
    try {
      this.#choose({ name, id: await this.#api.upload(file, name) });
      announce(`${name} is the voice.`);
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

  /** While the browser asks whether it may record, the button does nothing; disabled, it would lose the focus. */
  async #start() {
    if (this.#record.ariaDisabled === "true") return;
    this.#record.ariaDisabled = "true";
    this.#say("");
    try {
      await this.#recorder.start();
      this.#meterFrom(performance.now());
    } catch (error) {
      this.#say(`The microphone cannot be used: ${error.message}.`);
    }
    this.#record.ariaDisabled = "false";
  }

  #meterFrom(began) {
    this.#show("recording");
    byId("voice-stop").focus();
    this.#metering = setInterval(() => {
      byId("voice-time").textContent = clock((performance.now() - began) / 1000);
      byId("voice-level").value = Math.sqrt(this.#recorder.level);
    }, METER_EVERY);
  }

  async #stop() {
    if (!this.#metering) return; // it was pressed twice
    clearInterval(this.#metering);
    this.#metering = null;
    const recording = await this.#recorder.stop();
    this.#take(recording, `recording.${endingOf(recording)}`);
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
    this.#playable();
  }

  /** Let the voice be heard; of another origin, the page may not. */
  async #playable() {
    const { chosen } = this;
    this.#preview.hidden = true;
    this.#preview.removeAttribute("src");
    if (!chosen?.id) return;
    try {
      const passes = ({ passing }) => passing && this.chosen === chosen;
      const link = new URL(await patiently(() => this.#link(), { passes }));
      if (this.chosen !== chosen) return;
      // The server's own name for itself may be another than the one that this page was opened by.
      this.#preview.src = link.pathname + link.search;
      this.#preview.hidden = false;
      this.#previewed = performance.now();
    } catch (error) {
      if (!this.chosen) this.#say(error.message);
    }
  }

  /** The preview does not play: for want of a new link, or because this browser cannot. */
  #silent() {
    if (performance.now() - this.#previewed > STALE) this.#playable();
    else this.#preview.hidden = true;
  }

  #show(state) {
    this.#state = state;
    for (const part of document.querySelectorAll("[data-voice]")) part.hidden = part.dataset.voice !== state;
  }

  #say(problem) {
    const place = byId("voice").querySelector(".problem");
    place.textContent = problem;
    place.hidden = !problem;
  }
}
