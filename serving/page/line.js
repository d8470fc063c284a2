// The socket of /v1/realtime: opened with a token, JSON events both ways, closed. Knows no event but those that let it
// in or refuse it.
//
// Events: "event" (detail: what the server sent), "lost" (detail: why, in words).

import { ApiError } from "./api.js";
import { unlessAborted } from "./patience.js";

const PATH = "/v1/realtime";
const PROTOCOL = "realtime";
const KEY = "openai-insecure-api-key."; // a browser's socket can send no header: OpenAI's way to bring a key all the same
const STATUSES = { 3000: 401, 1013: 429 }; // codes of a close that refuses → what HTTP would say
const NORMAL = 1000; // of a close: the server itself has ended the session, and said why
const UNREACHED = "The server cannot be reached. Check the connection, then hold again.";
const BROKEN = "The connection broke off.";
const AGAIN = "Hold the button to connect again.";
const UNSENDABLE = "This access token cannot be sent over a socket: it holds characters other than letters, digits and -._~+.";

export class Line extends EventTarget {
  #socket;
  #told = ""; // what is wrong, where that was the last thing the server said

  /** Resolves when the server has let us in. Raises ApiError, or AbortError. */
  static async open(token, signal) {
    signal.throwIfAborted();
    const line = new Line(socketWith(token));
    try {
      await unlessAborted(line.#letIn(), signal);
      return line;
    } catch (error) {
      line.close();
      throw error;
    }
  }

  constructor(socket) {
    super();
    this.#socket = socket;
  }

  /** fields: of an event of this type. */
  send(type, fields = {}) {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify({ type, ...fields }));
  }

  /** Nothing is heard of it any more. */
  close() {
    this.#socket.onmessage = this.#socket.onclose = null;
    this.#socket.close();
  }

  #letIn() {
    return new Promise((resolve, reject) => {
      this.#socket.onclose = ({ code }) => reject(new ApiError(STATUSES[code] ?? 0, { detail: this.#told || UNREACHED }));
      this.#socket.onmessage = ({ data }) => {
        this.#hear(JSON.parse(data));
        if (this.#told) return; // a close follows, whose code says what kind of refusal it is
        this.#socket.onmessage = (message) => this.#hear(JSON.parse(message.data));
        this.#socket.onclose = ({ code }) => this.#tell("lost", `${(code === NORMAL && this.#told) || BROKEN} ${AGAIN}`);
        resolve();
      };
    });
  }

  #hear(event) {
    this.#told = event.type === "error" ? event.error.message : "";
    this.#tell("event", event);
  }

  #tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

function socketWith(token) {
  const url = new URL(PATH, location.href);
  url.protocol = url.protocol.replace("http", "ws");
  try {
    return new WebSocket(url, token ? [PROTOCOL, KEY + token] : [PROTOCOL]);
  } catch (error) {
    throw new ApiError(0, { detail: error.name === "SyntaxError" ? UNSENDABLE : error.message });
  }
}
