// What the page says to the server, and nothing else says anything: the HTTP paths, the bearer token, the errors.
// Knows no element of the page, keeps nothing but where the token comes from, judges no input and asks nothing twice.

const MODELS = "/v1/models";
const PREDICTIONS = "/v1/predictions";
const FILES = "/v1/files";
const VOICES = "/v1/audio/voices";
const FILE_LINK = /\/v1\/files\/([^/]+)\/download$/;

/** An answer that is not the one asked for. `status` is 0 where there was none, or not the whole of it. */
export class ApiError extends Error {
  constructor(status, problem = {}, retryAfter = null) {
    const detail = typeof problem.detail === "string" ? problem.detail : null;
    super(detail ?? problem.title ?? `The server answered with status ${status}.`);
    this.status = status;
    /** [{field, description}], the inputs that the server refused. */
    this.invalidFields = problem.invalid_fields ?? [];
    /** Seconds that the server asks to wait; null where it says nothing of it. */
    this.retryAfter = retryAfter;
  }

  /** Whether the same question may be answered a moment later. */
  get passing() {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }
}

export class Api {
  #tokens;

  /** tokens: {value, ask(refused)}; ask resolves when there is another value, and rejects where nobody gives one. */
  constructor(tokens) {
    this.#tokens = tokens;
  }

  /** The models that are served, each with its newest version and input schema. */
  async models() {
    return (await this.#json(MODELS)).results;
  }

  /** Keep a file → its id. */
  async upload(file, name) {
    const body = new FormData();
    body.append("content", file, name);
    return (await this.#json(FILES, { method: "POST", body })).id;
  }

  /** The URL of a file that is kept: good as an input, and without a token, but not for long. */
  async link(fileId) {
    return (await this.#json(`${FILES}/${encodeURIComponent(fileId)}`)).urls.get;
  }

  /** The voices that were stored, newest first: [{id, name, …}]. */
  async voices() {
    return (await this.#json(VOICES)).data;
  }

  /** model: by its name. stream: audio leaves as soon as it is exact; else each passage is checked before. */
  async create(model, input, stream) {
    return this.#json(`${MODELS}/${model}/predictions`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ input, stream }),
    });
  }

  async prediction(id, signal) {
    return this.#json(`${PREDICTIONS}/${encodeURIComponent(id)}`, { signal });
  }

  async cancel(id) {
    return this.#json(`${PREDICTIONS}/${encodeURIComponent(id)}/cancel`, { method: "POST" });
  }

  /** One page of predictions, newest first → {results, cursor of the page behind it or null}. */
  async predictions(cursor = null) {
    const query = cursor ? `?cursor=${encodeURIComponent(cursor)}` : "";
    const { results, next } = await this.#json(PREDICTIONS + query);
    // `next` may name the server as a proxy sees it, so only its cursor is taken.
    return { results, cursor: next ? new URL(next, location.href).searchParams.get("cursor") : null };
  }

  /** The audio of a prediction while it is made, 16-bit mono → {sampleRate in Hz, its bytes in pieces as they come}. */
  async sound(id, signal) {
    const response = await this.#audio(id, "pcm", signal);
    return { sampleRate: Number(response.headers.get("X-Sample-Rate")), pieces: piecesOf(response.body) };
  }

  /** The whole audio as a file: a Blob. */
  async audioFile(id, format) {
    return arrived((await this.#audio(id, format)).blob());
  }

  async #audio(id, format, signal) {
    const path = `${PREDICTIONS}/${encodeURIComponent(id)}/audio`;
    return this.#send(`${path}?format=${encodeURIComponent(format)}`, { signal });
  }

  async #json(path, options) {
    return arrived((await this.#send(path, options)).json());
  }

  /** What `attempt(token)` resolves with; it is made anew as long as it is the token that is refused. */
  async admitted(attempt) {
    for (;;) {
      const token = this.#tokens.value;
      try {
        return await attempt(token);
      } catch (error) {
        if (error.status !== 401) throw error;
        if (this.#tokens.value === token) await this.#tokens.ask(Boolean(token));
      }
    }
  }

  /** Raises ApiError, or AbortError. */
  async #send(path, options = {}) {
    return this.admitted(async (token) => {
      const authorization = token ? { Authorization: `Bearer ${token}` } : {};
      const asked = fetch(path, { ...options, headers: { ...options.headers, ...authorization } });
      const response = await arrived(asked, "The server cannot be reached. Check the connection.");
      if (!response.ok) throw await refusal(response);
      return response;
    });
  }
}

/** The id of the file of this server that an input of this prediction links to; null where it lies elsewhere. */
export function fileOf(url, prediction) {
  const { origin, pathname } = new URL(url);
  const ours = origin === new URL(prediction.urls.get).origin;
  return (ours && pathname.match(FILE_LINK)?.[1]) || null;
}

async function* piecesOf(body) {
  const reader = body.getReader();
  try {
    for (;;) {
      const { done, value } = await arrived(reader.read(), "The audio broke off on its way.");
      if (done) return;
      yield value;
    }
  } finally {
    await reader.cancel().catch(() => {});
  }
}

/** What the network brings. Raises ApiError, or AbortError. */
async function arrived(promise, detail = "The answer broke off on its way.") {
  try {
    return await promise;
  } catch (error) {
    throw error.name === "AbortError" ? error : new ApiError(0, { detail });
  }
}

async function refusal(response) {
  const problem = await response.json().catch(() => ({}));
  return new ApiError(response.status, problem, secondsOf(response.headers.get("Retry-After")));
}

/** A Retry-After header: seconds, or a date. */
function secondsOf(header) {
  const seconds = /^\d+$/.test(header ?? "") ? Number(header) : (Date.parse(header) - Date.now()) / 1000;
  return Number.isNaN(seconds) ? null : Math.max(1, Math.ceil(seconds));
}
