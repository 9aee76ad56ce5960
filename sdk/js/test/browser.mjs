// A browser that is not there: permission, an agent's answers and their delays are given by the test. Time is virtual.
import { webcrypto } from 'node:crypto';

/**
 * `ports`: number → handler(request) returning a Response, or throwing; a port without one is closed.
 * `socket(socket)` plays the agent's end of a WebSocket.
 */
export function fakeBrowser({ ports = {}, state = 'granted', names = ['loopback-network'], socket } = {}) {
  const violations = new EventTarget();
  const fake = {
    state,
    calls: [],
    sockets: [],
    underWay: 0,
    mostUnderWay: 0,
    time: 0,
    violations,
    crypto: webcrypto,
    now: () => fake.time,
    permissions: {
      async query({ name }) {
        if (!names.includes(name)) throw new TypeError(name);
        return { state: fake.state };
      },
    },
    async fetch(url, options = {}) {
      fake.calls.push({ url, ...options });
      fake.underWay += 1;
      fake.mostUnderWay = Math.max(fake.mostUnderWay, fake.underWay);
      try {
        await new Promise((resolve) => setTimeout(resolve, 1));
        const handler = ports[new URL(url).port];
        if (!handler) throw new TypeError('Failed to fetch');
        return await untilAborted(handler({ url: new URL(url), ...options }, fake), options.signal);
      } finally {
        fake.underWay -= 1;
      }
    },
    WebSocket: class {
      sent = [];
      constructor(url, protocol) {
        Object.assign(this, { url, protocol });
        fake.sockets.push(this);
        socket(this);
      }
      send(text) { this.sent.push(text); }
      close() { this.isClosed = true; }
    },
    XMLHttpRequest: class {
      upload = {};
      headers = {};
      status = 0;
      open(method, url) { Object.assign(this, { method, url }); }
      setRequestHeader(name, value) { this.headers[name] = value; }
      abort() { this.controller.abort(); }
      getResponseHeader(name) { return this.answer.headers.get(name); }
      async send(body) {
        this.controller = new AbortController();
        try {
          this.upload.onprogress?.({ loaded: body.size / 2, total: body.size });
          this.answer = await fake.fetch(this.url, { method: this.method, headers: this.headers, body, signal: this.controller.signal });
          this.upload.onprogress?.({ loaded: body.size, total: body.size });
          this.status = this.answer.status;
          this.response = await this.answer.blob();
          this.onload();
        } catch {
          if (this.controller.signal.aborted) this.onabort();
          else this.onerror();
        }
      }
    },
  };
  return fake;
}

function untilAborted(work, signal) {
  return new Promise((resolve, reject) => {
    const abort = () => reject(new DOMException('aborted', 'AbortError'));
    if (signal?.aborted) abort();
    signal?.addEventListener('abort', abort);
    Promise.resolve(work).then(resolve, reject);
  });
}

export const json = (value, status = 200) => new Response(JSON.stringify(value), { status, headers: { 'Content-Type': 'application/json' } });
export const info = { product: 'sealagent', apiVersions: [1], version: '0.1.0', paired: true };
export const never = () => new Promise(() => {});

/** A store that keeps nothing beyond the test. */
export function memory(credential) {
  return { load: async () => credential, save: async (value) => { credential = value; }, now: () => credential };
}
