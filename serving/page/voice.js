// The card that a form's recording comes by: a file, a drop or the microphone, shown with its name. Knows the Recording
// of the form that is shown; knows no other input.

import { announce } from "./announcer.js";
import { clock } from "./clock.js";
import { takeDrops } from "./dropping.js";
import { byId } from "./element.js";
import { patiently } from "./patience.js";
import { Recorder, endingOf } from "./recorder.js";

const METER_EVERY = 100; // ms
const STALE = 600_000; // ms, then what does not play may be a link that has run out

export class Voice {
  #recorder = new Recorder();
  #file = byId("voice-file");
  #record = byId("voice-record");
  #preview = byId("voice-preview");
  #previewing = null; // what of the recording was `chosen` when the preview got its link
  #previewed = 0; // ms, when that was
  #metering = null;
  #recording = null;
  #moved = ({ target }) => target === this.#recording && this.#show();

  constructor() {
    byId("voice-choose").addEventListener("click", () => this.#file.click());
    this.#file.addEventListener("change", () => this.#take(this.#file.files[0], this.#file.files[0].name));
    takeDrops(byId("voice-card"), (files) => this.#dropped(files));
    byId("voice-remove").addEventListener("click", () => this.#remove());
    byId("voice-stop").addEventListener("click", () => this.#stop());
    this.#record.addEventListener("click", () => this.#start());
    this.#record.hidden = !Recorder.possible;
    this.#preview.addEventListener("error", () => this.#silent());
  }

  /** Show that of another form; what the microphone is writing goes to the form that it was begun for. */
  turn(recording) {
    if (recording === this.#recording) return;
    this.#stop();
    this.#recording = recording;
    recording.addEventListener("change", this.#moved); // once, however often it is shown
    this.#show();
  }

  #dropped([file, ...others]) {
    if (this.#recording.beingMade || this.#recording.uploading) return;
    const isSound = file && /^(audio\/|video\/|$)/.test(file.type); // not every system knows the type of a file
    if (others.length || !isSound) this.#recording.fail("Drop one recording.");
    else this.#take(file, file.name);
  }

  async #take(file, name, recording = this.#recording) {
    this.#file.value = ""; // so that the same file can be chosen again
    announce(`Uploading ${name}…`);
    if (await recording.take(file, name)) announce(`${name} is uploaded.`);
    // The button that had the focus is gone; whoever went on meanwhile is left alone.
    if (recording !== this.#recording || document.activeElement !== document.body) return;
    byId(recording.chosen ? "voice-remove" : "voice-choose").focus();
  }

  /** While the browser asks whether it may record, the button does nothing; disabled, it would lose the focus. */
  async #start() {
    if (this.#record.ariaDisabled === "true") return;
    this.#record.ariaDisabled = "true";
    const recording = this.#recording;
    recording.fail("");
    try {
      await this.#recorder.start();
      if (recording === this.#recording) this.#meterFrom(performance.now());
      else await this.#recorder.stop(); // it was allowed only when another form was shown
    } catch (error) {
      recording.fail(`The microphone cannot be used: ${error.message}.`);
    }
    this.#record.ariaDisabled = "false";
  }

  #meterFrom(began) {
    this.#recording.beingMade = true;
    this.#show();
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
    const recording = this.#recording;
    const made = await this.#recorder.stop();
    recording.beingMade = false;
    this.#take(made, `recording.${endingOf(made)}`, recording);
  }

  #remove() {
    this.#recording.choose(null);
    byId("voice-choose").focus();
  }

  #show() {
    const { chosen, uploading, beingMade, problem } = this.#recording;
    const state = beingMade ? "recording" : uploading ? "busy" : chosen ? "chosen" : "empty";
    for (const part of document.querySelectorAll("[data-voice]")) part.hidden = part.dataset.voice !== state;
    byId("voice-busy-name").textContent = `Uploading ${uploading}…`;
    byId("voice-words").hidden = !chosen;
    byId("voice-name").textContent = chosen?.name ?? "";
    this.#say(problem);
    if (chosen !== this.#previewing) this.#playable();
  }

  /** Let it be heard; what is of another origin, the page may not play. */
  async #playable() {
    const recording = this.#recording;
    const { chosen } = recording;
    const isShown = () => recording === this.#recording && recording.chosen === chosen;
    this.#previewing = chosen;
    this.#preview.hidden = true;
    this.#preview.removeAttribute("src");
    if (!chosen?.id) return;
    try {
      const link = new URL(await patiently(() => recording.link(), { passes: ({ passing }) => passing && isShown() }));
      if (!isShown()) return;
      // The server's own name for itself may be another than the one that this page was opened by.
      this.#preview.src = link.pathname + link.search;
      this.#preview.hidden = false;
      this.#previewed = performance.now();
    } catch (error) {
      if (!recording.chosen) recording.fail(error.message);
    }
  }

  /** The preview does not play: for want of a new link, or because this browser cannot. */
  #silent() {
    if (performance.now() - this.#previewed > STALE) this.#playable();
    else this.#preview.hidden = true;
  }

  #say(problem) {
    const place = byId("voice").querySelector(".problem");
    place.textContent = problem;
    place.hidden = !problem;
  }
}
