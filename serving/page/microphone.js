// The microphone as a stream of 16-bit samples, from when it is opened until it is closed. Knows no element, no socket.
//
// Events: "block" (detail: Int16Array, 40 ms of mono), "lost" (the device is gone, or the permission).

import { unlessAborted } from "./patience.js";

const REFUSALS = {
  NotAllowedError: "This page may not use the microphone. Allow it in the browser's settings for this site, then hold again.",
  NotFoundError: "There is no microphone. Connect one, then hold again.",
  NotReadableError: "The microphone does not answer; another program may be using it. Close that, then hold again.",
};

export class Microphone extends EventTarget {
  #stream;
  #context = null;

  /** Whether this browser lends this page a microphone; an address without https may not. */
  static get possible() {
    return Boolean(navigator.mediaDevices?.getUserMedia && window.AudioWorkletNode);
  }

  /** Of so many samples a second. Raises Error, in words for whoever wants to speak, or AbortError. */
  static async open(rate, signal) {
    try {
      return await Microphone.#lent(rate, signal);
    } catch (error) {
      if (signal.aborted) throw error;
      const reason = error.message.replace(/\.$/, "");
      throw new Error(REFUSALS[error.name] ?? `The microphone cannot be used: ${reason}. Hold to try again.`);
    }
  }

  /** Where it is allowed only after `signal` is aborted, it is let go at once. */
  static async #lent(rate, signal) {
    const microphone = new Microphone(await navigator.mediaDevices.getUserMedia({ audio: true }));
    try {
      signal.throwIfAborted();
      await unlessAborted(microphone.#listen(rate), signal);
      return microphone;
    } catch (error) {
      microphone.close();
      throw error;
    }
  }

  constructor(stream) {
    super();
    this.#stream = stream;
    for (const track of stream.getTracks()) track.addEventListener("ended", () => this.dispatchEvent(new Event("lost")));
  }

  /** Let the device go. */
  close() {
    for (const track of this.#stream.getTracks()) track.stop();
    this.#context?.close();
    this.#context = null;
  }

  async #listen(rate) {
    const [track] = this.#stream.getAudioTracks();
    const { sampleRate } = track.getSettings(); // not every browser tells; then it resamples to the speakers' rate
    const context = new AudioContext(sampleRate ? { sampleRate } : {});
    this.#context = context;
    await context.audioWorklet.addModule(new URL("capture.js", import.meta.url));
    const options = { numberOfOutputs: 0, channelCount: 1, channelCountMode: "explicit", processorOptions: { rate } };
    const capture = new AudioWorkletNode(context, "capture", options);
    capture.port.onmessage = ({ data }) => this.dispatchEvent(new CustomEvent("block", { detail: data }));
    context.createMediaStreamSource(this.#stream).connect(capture);
    await context.resume();
  }
}
