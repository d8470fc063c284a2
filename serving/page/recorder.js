// The microphone: one recording at a time, and how loud it is just now. Knows no element and no request.

export class Recorder {
  #stream = null;
  #recorder = null;
  #stopped = null; // resolves when the last piece is here
  #context = null;
  #analyser = null;
  #pieces = [];

  /** Whether this browser lets this page record; an address without https may not. */
  static get possible() {
    return Boolean(navigator.mediaDevices?.getUserMedia && window.MediaRecorder);
  }

  /** Begin. Raises what getUserMedia, AudioContext or MediaRecorder raise, such as NotAllowedError. */
  async start() {
    this.#stream = await navigator.mediaDevices.getUserMedia({ audio: true });
    try {
      this.#listen();
    } catch (error) {
      this.#letGo();
      throw error;
    }
  }

  /** The loudest moment of the last few milliseconds, 0-1. */
  get level() {
    if (!this.#analyser) return 0;
    const samples = new Float32Array(this.#analyser.fftSize);
    this.#analyser.getFloatTimeDomainData(samples);
    return samples.reduce((loudest, sample) => Math.max(loudest, Math.abs(sample)), 0);
  }

  /** End it → the recording, in the container this browser writes; the microphone is let go. */
  async stop() {
    if (this.#recorder.state !== "inactive") this.#recorder.stop(); // it ends by itself when the microphone is unplugged
    await this.#stopped;
    const { mimeType } = this.#recorder;
    this.#letGo();
    return new Blob(this.#pieces, { type: mimeType });
  }

  #listen() {
    this.#context = new AudioContext();
    this.#analyser = this.#context.createAnalyser();
    this.#context.createMediaStreamSource(this.#stream).connect(this.#analyser);
    this.#pieces = [];
    this.#recorder = new MediaRecorder(this.#stream);
    this.#recorder.addEventListener("dataavailable", ({ data }) => this.#pieces.push(data));
    this.#stopped = new Promise((resolve) => this.#recorder.addEventListener("stop", resolve, { once: true }));
    this.#recorder.start();
  }

  #letGo() {
    for (const track of this.#stream.getTracks()) track.stop();
    this.#context?.close();
    this.#context = this.#analyser = null;
  }
}

/** The file name's ending for what MediaRecorder writes. */
export function endingOf({ type }) {
  if (type.includes("mp4")) return "m4a";
  return type.includes("ogg") ? "ogg" : "webm";
}
