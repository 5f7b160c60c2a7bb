/**
 * A client of JMAP (RFC 8620): calls made in one turn travel in one request, a call may refer to the answer of one
 * before it, what only reads is tried again when the network fails.
 *
 *   const found = jmap.call("Email/query", {filter});
 *   const mails = jmap.call("Email/get", {"#ids": found.ref("/ids")});   // the same request
 *   (await mails).list
 */

const SESSION = "/.well-known/jmap";
const ATTEMPTS = 4;
const READS = /\/(get|query|changes|queryChanges|parse|lookup|view|echo)$/;

/** A method, a request or the network said no. `type` is JMAP's, or `signedOut`, `offline`, `http`. */
export class JmapError extends Error {
  constructor(type, description = "", more = {}) {
    super(description || type);
    this.type = type;
    this.more = more;
  }
}

export class Jmap extends EventTarget {
  /** @param {typeof fetch} ask */
  constructor(ask = (...args) => fetch(...args)) {
    super();
    this._ask = ask;
    this._queue = [];
    this._count = 0;
    this._running = 0;
    this._waiting = [];
    this.session = null;
    this.online = true;
  }

  /** Fetch the session resource. Throws JmapError `signedOut`. */
  async open() {
    const answer = await this._patiently(() => this._fetch(SESSION, { headers: { Accept: "application/json" } }), true);
    this.session = await answer.json();
    const primary = this.session.primaryAccounts ?? {};
    this.accountId = primary["urn:ietf:params:jmap:mail"] ?? Object.keys(this.session.accounts)[0];
    this.limits = this.session.capabilities["urn:ietf:params:jmap:core"] ?? {};
    this.using = Object.keys(this.session.capabilities);
    return this.session;
  }

  has(urn) {
    return this.using?.includes(urn) ?? false;
  }

  /**
   * One method call. The promise has `ref(path)`: the value of a later call's "#argument" in the same turn.
   * Rejects with JmapError, its `type` as the server named it.
   */
  call(name, args = {}) {
    const id = `c${this._count++}`;
    const personal = name !== "Core/echo" && !name.startsWith("PushSubscription/");
    const entry = { name, id, args: personal ? { accountId: this.accountId, ...args } : args };
    const promise = new Promise((resolve, reject) => Object.assign(entry, { resolve, reject }));
    promise.ref = (path) => ({ resultOf: id, name, path });
    if (this._queue.push(entry) === 1) queueMicrotask(() => this._flush());
    return promise;
  }

  /** All that waits, in as few requests as the server's limit allows; a call stays with those it refers to. */
  _flush() {
    const groups = [];
    for (const entry of this._queue.splice(0)) {
      const refers = Object.keys(entry.args).some((key) => key.startsWith("#"));
      if (refers && groups.length) groups.at(-1).push(entry);
      else groups.push([entry]);
    }
    const most = this.limits?.maxCallsInRequest ?? 16;
    let request = [];
    let before = Promise.resolve();
    const send = (calls) => (before = before.then(() => this._send(calls)));
    for (const group of groups) {
      if (request.length && request.length + group.length > most) {
        send(request);
        request = [];
      }
      request.push(...group);
    }
    send(request);
  }

  /** As many requests at once as the server takes (RFC 8620 §2); the others wait for their turn. */
  async _send(calls) {
    while (this._running >= (this.limits?.maxConcurrentRequests ?? 4)) await new Promise((wake) => this._waiting.push(wake));
    this._running++;
    try {
      await this._request(calls);
    } finally {
      this._running--;
      this._waiting.shift()?.();
    }
  }

  async _request(calls) {
    const body = JSON.stringify({ using: this.using, methodCalls: calls.map(({ name, args, id }) => [name, args, id]) });
    const asked = { method: "POST", headers: { "Content-Type": "application/json" }, body };
    let answer;
    try {
      const reads = calls.every(({ name }) => READS.test(name));
      answer = await (await this._patiently(() => this._fetch(this.session.apiUrl, asked), reads)).json();
    } catch (error) {
      for (const { reject } of calls) reject(error);
      return;
    }
    const told = new Map();
    for (const [name, args, id] of answer.methodResponses) if (!told.has(id)) told.set(id, [name, args]);
    for (const { id, name, resolve, reject } of calls) {
      const [said, args] = told.get(id) ?? ["error", { type: "serverFail", description: "no answer" }];
      if (said === "error") reject(new JmapError(args.type, args.description || `${name}: ${args.type}`, args));
      else resolve(args);
    }
    if (answer.sessionState !== this.session.state) this.dispatchEvent(new Event("session"));
  }

  /** Once, or again after pauses that double where that does no harm. Tells `online` as it finds it. */
  async _patiently(ask, again) {
    for (let attempt = 1; ; attempt++) {
      try {
        const answer = await ask();
        this._is(true);
        return answer;
      } catch (error) {
        if (error.type === "offline") this._is(false);
        const passing = error.type === "offline" || error.type === "busy";
        if (!again || !passing || attempt >= ATTEMPTS) throw error;
        await new Promise((wake) => setTimeout(wake, 400 * 2 ** attempt * (0.7 + Math.random() * 0.6)));
      }
    }
  }

  async _fetch(url, options) {
    let answer;
    try {
      answer = await this._ask(url, { credentials: "same-origin", cache: "no-store", ...options });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new JmapError("offline", "The server cannot be reached.");
    }
    if (answer.ok) return answer;
    if (answer.status === 401) {
      this.dispatchEvent(new Event("signedout"));
      throw new JmapError("signedOut", "Please sign in.");
    }
    if ([429, 502, 503, 504].includes(answer.status)) throw new JmapError("busy", "The server is busy.");
    const problem = await answer.json().catch(() => ({}));
    throw new JmapError(problem.type ?? "http", problem.detail || `The server answered ${answer.status}.`, problem);
  }

  _is(online) {
    if (this.online === online) return;
    this.online = online;
    this.dispatchEvent(new Event("online"));
  }

  /** Upload octets (RFC 8620 §6.1): `{blobId, type, size}`. */
  async upload(blob, type = blob.type || "application/octet-stream", { signal } = {}) {
    const url = expand(this.session.uploadUrl, { accountId: this.accountId });
    const sent = { method: "POST", headers: { "Content-Type": type }, body: blob, signal };
    return (await this._patiently(() => this._fetch(url, sent), true)).json();
  }

  /** Where a blob is downloaded (RFC 8620 §6.2). */
  downloadUrl({ blobId, name = "attachment", type = "application/octet-stream" }) {
    return expand(this.session.downloadUrl, { accountId: this.accountId, blobId, name: name || "attachment", type });
  }

  /** The octets of a blob, as text. */
  async text(blobId, type = "text/plain") {
    const url = this.downloadUrl({ blobId, name: "text", type });
    return (await this._patiently(() => this._fetch(url, {}), true)).text();
  }

  eventsUrl() {
    return expand(this.session.eventSourceUrl, { types: "*", closeafter: "no", ping: "60" });
  }
}

/** A URI template of level 1 (RFC 6570), as JMAP uses them. */
export function expand(template, values) {
  return template.replace(/\{(\w+)\}/g, (_, name) => encodeURIComponent(values[name] ?? ""));
}

/** The client of this page. */
export const jmap = new Jmap();
