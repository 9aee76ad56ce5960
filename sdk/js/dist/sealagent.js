// src/browser.ts
function thisBrowser() {
  var _a;
  return {
    fetch: (...call) => globalThis.fetch(...call),
    XMLHttpRequest: globalThis.XMLHttpRequest,
    WebSocket: globalThis.WebSocket,
    permissions: (_a = globalThis.navigator) == null ? void 0 : _a.permissions,
    violations: globalThis.document ?? globalThis,
    crypto: globalThis.crypto,
    now: () => performance.now()
  };
}
async function permission(browser) {
  var _a;
  for (const name of ["loopback-network", "local-network-access"]) {
    try {
      const { state } = await ((_a = browser.permissions) == null ? void 0 : _a.query({ name })) ?? {};
      if (state === "granted" || state === "denied" || state === "prompt") return state;
    } catch {
    }
  }
  return "unsupported";
}

// src/errors.ts
var SealAgentError = class extends Error {
  /** The message in Chinese. */
  messageZh;
  constructor(message, messageZh, options) {
    super(message, options);
    this.name = new.target.name;
    this.messageZh = messageZh;
  }
};
var BlockedByBrowser = class extends SealAgentError {
  constructor(reason) {
    super(
      reason === "denied" ? "The browser blocks this site from reaching apps on this device. Open the site’s settings beside the address and allow it." : "The browser’s question was closed without an answer. Try again and choose Allow.",
      reason === "denied" ? "浏览器禁止本网站访问此设备上的应用。请点击地址栏旁的网站设置并选择允许。" : "浏览器的询问未作选择即被关闭。请重试并选择“允许”。"
    );
    this.reason = reason;
  }
  reason;
  code = "blocked_by_browser";
};
var BlockedByCsp = class extends SealAgentError {
  constructor(blockedUri) {
    super(
      `The site’s own Content-Security-Policy forbids the call. Its operator should add to connect-src: ${new URL(blockedUri).origin}`,
      `网站自身的内容安全策略（CSP）禁止此调用。请网站运营者在 connect-src 中加入：${new URL(blockedUri).origin}`
    );
    this.blockedUri = blockedUri;
  }
  blockedUri;
  code = "blocked_by_csp";
};
var NotRunning = class extends SealAgentError {
  code = "not_running";
  constructor() {
    super("The seal program is not running on this computer. Start sealagent, then try again.", "本机签章程序未运行。请启动 sealagent 后重试。");
  }
};
var OriginNotApproved = class extends SealAgentError {
  constructor(reason) {
    super(
      {
        unpaired: "This site is not paired with the seal program yet.",
        refused: "The pairing of this site was refused.",
        expired: "The pairing lapsed before it was answered. Start it again.",
        forbidden: "The seal program does not allow this site. Ask your IT department."
      }[reason],
      {
        unpaired: "本网站尚未与签章程序配对。",
        refused: "本网站的配对请求已被拒绝。",
        expired: "配对请求超时未答复，请重新发起。",
        forbidden: "签章程序不允许本网站使用，请联系信息部门。"
      }[reason]
    );
    this.reason = reason;
  }
  reason;
  code = "origin_not_approved";
};
var AgentNotRecognised = class extends SealAgentError {
  code = "agent_not_recognised";
  constructor() {
    super(
      "The program that answers is not the one this site was paired with. If you removed the pairing yourself, pair again.",
      "应答的程序不是与本网站配对的签章程序。如果配对是您本人删除的，请重新配对。"
    );
  }
};
var VersionTooOld = class extends SealAgentError {
  constructor(agentVersions, outdated) {
    super(
      outdated === "agent" ? "The seal program is too old for this site. Update sealagent." : "This site is too old for the seal program. Its operator must update the sealagent library.",
      outdated === "agent" ? "签章程序版本过旧，请升级 sealagent。" : "本网站使用的 sealagent 组件版本过旧，请联系网站运营者升级。"
    );
    this.agentVersions = agentVersions;
    this.outdated = outdated;
  }
  agentVersions;
  outdated;
  code = "version_too_old";
};
var Cancelled = class extends SealAgentError {
  code = "cancelled";
  constructor(options) {
    super("The request was cancelled.", "请求已取消。", options);
  }
};
var TimedOut = class extends SealAgentError {
  code = "timed_out";
  constructor(options) {
    super("The seal program did not answer in time.", "签章程序未及时响应。", options);
  }
};
var ConnectionLost = class extends SealAgentError {
  code = "connection_lost";
  constructor(options) {
    super("The connection to the seal program was lost. It may have been stopped.", "与签章程序的连接已中断，程序可能已退出。", options);
  }
};
var AgentRefused = class extends SealAgentError {
  constructor(status, code, message, messageZh, requestId, retryable, detail) {
    super(message, messageZh);
    this.status = status;
    this.code = code;
    this.requestId = requestId;
    this.retryable = retryable;
    this.detail = detail;
  }
  status;
  code;
  requestId;
  retryable;
  detail;
};
var NotSigned = class extends SealAgentError {
  constructor(state, code, message, messageZh, detail) {
    super(message, messageZh);
    this.state = state;
    this.code = code;
    this.detail = detail;
  }
  state;
  code;
  detail;
};

// src/call.ts
var DISMISSED_AFTER = 500;
var VIOLATION_GRACE = 50;
var Unreachable = class extends Error {
};
async function send(browser, call) {
  const headers = {};
  if (call.json !== void 0) headers["Content-Type"] = "application/json";
  if (call.authorization !== void 0) headers["Authorization"] = call.authorization;
  return explained(browser, call.url, call.signal, async () => {
    const limit = deadline(call.signal, call.timeout);
    try {
      return await browser.fetch(call.url, {
        method: call.method,
        mode: "cors",
        credentials: "omit",
        redirect: "error",
        referrerPolicy: "no-referrer",
        headers,
        ...call.json === void 0 ? {} : { body: call.json },
        ...limit.signal ? { signal: limit.signal } : {}
      });
    } catch (error) {
      if (limit.passed()) throw new TimedOut({ cause: error });
      throw error;
    } finally {
      limit.end();
    }
  });
}
async function upload(browser, call, onProgress) {
  return explained(browser, call.url, call.signal, () => new Promise((resolve, reject) => {
    var _a;
    const request = new browser.XMLHttpRequest();
    const abort = () => request.abort();
    const end = (settle) => (value) => {
      var _a2;
      (_a2 = call.signal) == null ? void 0 : _a2.removeEventListener("abort", abort);
      settle(value);
    };
    request.open("POST", call.url);
    request.responseType = "blob";
    request.setRequestHeader("Content-Type", call.type);
    if (call.authorization !== void 0) request.setRequestHeader("Authorization", call.authorization);
    if (onProgress) request.upload.onprogress = (event) => onProgress(event.loaded, event.total);
    request.onload = () => {
      const type = request.getResponseHeader("Content-Type");
      const body = request.status === 204 ? null : request.response;
      end(resolve)(new Response(body, { status: request.status, headers: type ? { "Content-Type": type } : {} }));
    };
    request.onerror = () => end(reject)(new TypeError("upload failed"));
    request.onabort = () => end(reject)(new DOMException("aborted", "AbortError"));
    (_a = call.signal) == null ? void 0 : _a.addEventListener("abort", abort);
    request.send(call.file);
  }));
}
async function read(answer) {
  const isJson = (answer.headers.get("Content-Type") ?? "").startsWith("application/json");
  if (answer.ok) return answer.status === 204 ? void 0 : isJson ? await answer.json() : await answer.blob();
  const said = isJson ? await answer.json().catch(() => ({})) : {};
  const text = (key) => typeof said[key] === "string" ? said[key] : void 0;
  const message = text("message") ?? `The seal program answered ${answer.status}.`;
  throw new AgentRefused(
    answer.status,
    text("code") ?? "unknown",
    message,
    text("messageZh") ?? message,
    text("requestId") ?? "",
    said["retryable"] === true,
    text("detail")
  );
}
async function explained(browser, url, signal, attempt) {
  let before = await permission(browser);
  for (let repeated = false; ; repeated = true) {
    if (signal == null ? void 0 : signal.aborted) throw new Cancelled({ cause: signal.reason });
    const violations = watchViolations(browser, url);
    const begun = browser.now();
    try {
      return await attempt();
    } catch (error) {
      if (signal == null ? void 0 : signal.aborted) throw new Cancelled({ cause: error });
      if (!(error instanceof TypeError)) throw error;
      const took = browser.now() - begun;
      const blocked = await violations.found();
      if (blocked !== void 0) throw new BlockedByCsp(blocked);
      const after = await permission(browser);
      if (before === "prompt" && after === "granted" && !repeated) {
        before = after;
        continue;
      }
      throw cause(after, took, error);
    } finally {
      violations.end();
    }
  }
}
function cause(state, took, error) {
  if (state === "denied") return new BlockedByBrowser("denied");
  if (state === "prompt" && took > DISMISSED_AFTER) return new BlockedByBrowser("dismissed");
  return new Unreachable("nothing answers", { cause: error });
}
function watchViolations(browser, url) {
  var _a;
  let found;
  let wake;
  const listener = (event) => {
    const { blockedURI, effectiveDirective } = event;
    if (effectiveDirective !== "connect-src" || !url.startsWith(blockedURI.replace(/\/$/, ""))) return;
    found = url;
    wake == null ? void 0 : wake();
  };
  (_a = browser.violations) == null ? void 0 : _a.addEventListener("securitypolicyviolation", listener);
  return {
    async found() {
      if (found === void 0 && browser.violations) {
        await new Promise((resolve) => {
          const timer = setTimeout(resolve, VIOLATION_GRACE);
          wake = () => {
            clearTimeout(timer);
            resolve();
          };
        });
      }
      return found;
    },
    end: () => {
      var _a2;
      return (_a2 = browser.violations) == null ? void 0 : _a2.removeEventListener("securitypolicyviolation", listener);
    }
  };
}
function deadline(signal, timeout) {
  if (timeout === void 0) return { signal, passed: () => false, end: () => {
  } };
  const controller = new AbortController();
  let passed = false;
  const timer = setTimeout(() => {
    passed = true;
    controller.abort();
  }, timeout);
  const abort = () => controller.abort(signal == null ? void 0 : signal.reason);
  signal == null ? void 0 : signal.addEventListener("abort", abort);
  return {
    signal: controller.signal,
    passed: () => passed,
    end: () => {
      clearTimeout(timer);
      signal == null ? void 0 : signal.removeEventListener("abort", abort);
    }
  };
}

// src/credential.ts
var IndexedDbStore = class {
  async load() {
    return this.#with("readonly", (store) => store.get("pairing"));
  }
  async save(credential) {
    if (credential) await this.#with("readwrite", (store) => store.put(credential, "pairing"));
    else await this.#with("readwrite", (store) => store.delete("pairing"));
  }
  async #with(mode, work) {
    const opening = indexedDB.open("sealagent", 1);
    opening.onupgradeneeded = () => opening.result.createObjectStore("credentials");
    const database = await settled(opening);
    try {
      return await settled(work(database.transaction("credentials", mode).objectStore("credentials")));
    } finally {
      database.close();
    }
  }
};
function settled(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
async function importKey(crypto, text) {
  const bytes = Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
  return crypto.subtle.importKey("raw", bytes, { name: "HMAC", hash: "SHA-256" }, false, ["sign", "verify"]);
}
function challenge(crypto) {
  return hex(crypto.getRandomValues(new Uint8Array(16)));
}
async function isGenuine(crypto, key, asked, port, run, proof) {
  return await mac(crypto, key, ["SealAgent-info-1", asked, String(port), run]) === proof;
}
var Signer = class {
  constructor(crypto, credential, run, seen) {
    this.crypto = crypto;
    this.credential = credential;
    this.run = run;
    this.#last = seen;
  }
  crypto;
  credential;
  run;
  #last = 0;
  /** The header for one call. Numbers grow; several tabs share a key, so they start at the time and differ by chance. */
  async authorization(method, pathAndQuery, json) {
    const chance = this.crypto.getRandomValues(new Uint16Array(1))[0] ?? 0;
    this.#last = Math.max(this.#last + 1, Date.now() * 1e3 + chance % 1e3);
    const n = this.#last;
    const digest = json === void 0 ? "" : hex(new Uint8Array(await this.crypto.subtle.digest("SHA-256", new TextEncoder().encode(json))));
    const proof = await mac(this.crypto, this.credential.key, ["SealAgent-request-1", this.run, method, pathAndQuery, String(n), digest]);
    return `SealAgent id=${this.credential.id}, n=${n}, mac=${proof}`;
  }
};
async function mac(crypto, key, lines) {
  return hex(new Uint8Array(await crypto.subtle.sign("HMAC", key, new TextEncoder().encode(lines.join("\n")))));
}
function hex(bytes) {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

// src/events.ts
var POLICY = 1008;
async function listen(browser, url, authorization, onEvent, signal) {
  const violations = watchViolations(browser, url);
  let socket;
  let abort = () => {
  };
  try {
    await new Promise((resolve, reject) => {
      const open = new browser.WebSocket(url, "sealagent.v1");
      socket = open;
      open.onopen = () => {
        if (authorization !== void 0) open.send(JSON.stringify({ authorization }));
      };
      open.onmessage = (message) => onEvent(JSON.parse(String(message.data)));
      open.onclose = (event) => reject(event.code === POLICY ? new OriginNotApproved("unpaired") : new ConnectionLost());
      open.onerror = () => reject(new ConnectionLost());
      abort = () => resolve();
      signal == null ? void 0 : signal.addEventListener("abort", abort, { once: true });
      if (signal == null ? void 0 : signal.aborted) resolve();
    });
  } catch (error) {
    if (error instanceof OriginNotApproved) throw error;
    const blocked = await violations.found();
    if (blocked !== void 0) throw new BlockedByCsp(blocked);
    throw error instanceof ConnectionLost ? error : new ConnectionLost({ cause: error });
  } finally {
    violations.end();
    signal == null ? void 0 : signal.removeEventListener("abort", abort);
    if (socket) {
      socket.onclose = socket.onerror = socket.onmessage = null;
      socket.close();
    }
  }
}

// src/agent.ts
var API_VERSION = 1;
var PORTS = Array.from({ length: 10 }, (_, n) => 17329 + n);
var TLS_PORTS = Array.from({ length: 10 }, (_, n) => 17339 + n);
var SILENT = 2e3;
var POLL = 20;
var SealAgent = class {
  #places;
  #credentials;
  #browser;
  #connecting;
  constructor(options = {}) {
    const places = (scheme, ports) => ports.map((port) => ({ scheme, port }));
    this.#places = [...places("http", options.ports ?? PORTS), ...places("https", options.tlsPorts ?? [])];
    this.#credentials = options.credentials ?? new IndexedDbStore();
    this.#browser = options.browser ?? thisBrowser();
  }
  /** What the browser says about reaching the agent. For wording: `prompt` does not mean that a question will come. */
  permission() {
    return permission(this.#browser);
  }
  /** Finds the agent. Returns what it says of itself; `paired` is missing or false when `pair` is needed. */
  async connect(options = {}) {
    return (await this.#connection(options)).info;
  }
  /** Asks the person to allow this site. */
  async pair(options) {
    const { signal } = options;
    const crypto = this.#browser.crypto;
    if (!(crypto == null ? void 0 : crypto.subtle)) throw new OriginNotApproved("forbidden");
    await this.#credentials.save(void 0);
    this.#connecting = void 0;
    const { place } = await this.#connection({ ...signal ? { signal } : {} });
    const begin = { method: "POST", json: JSON.stringify({ label: options.label ?? "" }) };
    const { pairingId, code, expiresAt } = await this.#open(place, "/v1/pairings", begin, signal);
    const path = `/v1/pairings/${pairingId}`;
    const withdraw = () => void this.#open(place, path, { method: "DELETE" }, void 0).catch(() => {
    });
    signal == null ? void 0 : signal.addEventListener("abort", withdraw);
    try {
      options.onCode(code, expiresAt);
      for (; ; ) {
        const answer = await this.#open(place, `${path}?wait=${POLL}`, { method: "GET" }, signal);
        if (answer.state === "waiting") continue;
        if (answer.state !== "granted" || !answer.id || !answer.key) {
          throw new OriginNotApproved(answer.state === "expired" ? "expired" : "refused");
        }
        await this.#credentials.save({ id: answer.id, key: await importKey(crypto, answer.key) });
        this.#connecting = void 0;
        return;
      }
    } finally {
      signal == null ? void 0 : signal.removeEventListener("abort", withdraw);
    }
  }
  /** Forgets the pairing on this side. The person removes it on theirs with `sealagent origins revoke`. */
  async forget() {
    await this.#credentials.save(void 0);
    this.#connecting = void 0;
  }
  /** The UKeys that are plugged in. */
  tokens(options = {}) {
    return this.#call("GET", "/v1/tokens", void 0, options.signal);
  }
  /** The seals, those of absent UKeys too. */
  seals(options = {}) {
    return this.#call("GET", "/v1/seals", void 0, options.signal);
  }
  /** A seal's picture. */
  sealPicture(esId, options = {}) {
    return this.#call("GET", `/v1/seals/${encodeURIComponent(esId)}/picture`, void 0, options.signal);
  }
  /** Hands a document over. It is gone ten minutes after its last use. */
  uploadDocument(file, options = {}) {
    const name = encodeURIComponent(nameOf(file, options.name));
    return this.#upload(`/v1/documents?name=${name}`, file, options.onProgress, options.signal);
  }
  /** A picture of a page (counted from 1) of a document that was handed over, as a PNG `width` pixels wide (50 to 2000). */
  pagePicture(documentId, page, options = {}) {
    return this.#call("GET", `/v1/documents/${documentId}/pages/${page}.png?width=${options.width ?? 800}`, void 0, options.signal);
  }
  /** Takes a document back. */
  deleteDocument(documentId, options = {}) {
    return this.#call("DELETE", `/v1/documents/${documentId}`, void 0, options.signal);
  }
  /**
   * Asks for signatures and returns at once; the same key with the same request is the same request. One that broke off after some of its
   * items were signed is continued by that.
   */
  async requestSignatures(request, options = {}) {
    const body = { ...request, idempotencyKey: options.idempotencyKey ?? this.#random() };
    const { signatureId } = await this.#call("POST", "/v1/signatures", JSON.stringify(body), options.signal);
    return signatureId;
  }
  /** Where a request stands. With `wait` the answer comes when it or one of its items has changed, or after so many seconds (20 at most). */
  signatureStatus(signatureId, options = {}) {
    return this.#call("GET", `/v1/signatures/${signatureId}?wait=${options.wait ?? 0}`, void 0, options.signal);
  }
  /** Withdraws a request. Once the UKey was asked it still runs to its end, and nothing is delivered. */
  cancelSignatures(signatureId) {
    return this.#call("DELETE", `/v1/signatures/${signatureId}`, void 0, void 0);
  }
  /** Waits until a request has ended well; throws `NotSigned` otherwise. An abort withdraws the request. */
  async waitForSignatures(signatureId, options = {}) {
    var _a, _b, _c;
    const { signal } = options;
    let status = { state: "waiting", items: [] };
    try {
      for (let told2; isOpen(status); await ((_a = options.onStatus) == null ? void 0 : _a.call(options, status))) {
        if (told2 === void 0) (_b = options.onState) == null ? void 0 : _b.call(options, told2 = status.state);
        status = await this.signatureStatus(signatureId, { wait: POLL, ...signal ? { signal } : {} });
        if (isOpen(status) && told2 !== status.state) (_c = options.onState) == null ? void 0 : _c.call(options, told2 = status.state);
      }
    } catch (error) {
      if (error instanceof Cancelled) await this.cancelSignatures(signatureId).catch(() => {
      });
      throw error;
    }
    if (status.state === "done") return status;
    throw notSigned(status);
  }
  /** A signed document. May be fetched again until the request is deleted or ten minutes have passed. */
  signedDocument(signatureId, documentId, options = {}) {
    return this.#call("GET", `/v1/signatures/${signatureId}/documents/${documentId}`, void 0, options.signal);
  }
  /** All of it: hands the file over, asks the person for one seal on it, and returns the sealed file. */
  async sealDocument(file, seal, stamp, options = {}) {
    const only = options.signal ? { signal: options.signal } : {};
    const { documentId } = await this.uploadDocument(file, options);
    const item = { documentId, seal, stamp, ...options.close ? { close: true } : {} };
    const signatureId = await this.requestSignatures({ items: [item] }, only);
    await this.waitForSignatures(signatureId, options);
    return this.signedDocument(signatureId, documentId, only);
  }
  /**
   * The same for many files: one list, one consent, one PIN. Each file comes through `onSealed` as soon as it is done, and all of them,
   * in order, at the end; throws `NotSigned` when one is missing then.
   */
  async sealDocuments(files, options = {}) {
    var _a, _b;
    const only = options.signal ? { signal: options.signal } : {};
    const items = [];
    for (const { file, seal, stamp, name, signedValue, close } of files) {
      const document = await this.uploadDocument(file, { ...only, ...name === void 0 ? {} : { name } });
      const { documentId, sm3 } = document;
      items.push({ documentId, sm3, name: document.name, seal, stamp, ...signedValue ? { signedValue } : {}, ...close ? { close } : {} });
      (_a = options.onUploaded) == null ? void 0 : _a.call(options, items.length, files.length);
    }
    const { timestamp, requireValid } = options;
    const request = { items, count: items.length, ...timestamp ? { timestamp } : {}, ...requireValid ? { requireValid } : {} };
    const key = { ...only, idempotencyKey: this.#random() };
    const sealed = files.map(() => void 0);
    let told2 = -1;
    for (; ; ) {
      const signatureId = await this.requestSignatures(request, key);
      const collect = async (status) => {
        var _a2, _b2, _c;
        for (const [n, item] of status.items.entries()) {
          const documentId = (_a2 = items[n]) == null ? void 0 : _a2.documentId;
          if (item.state !== "done" || sealed[n] || documentId === void 0) continue;
          const file = await this.signedDocument(signatureId, documentId, only);
          sealed[n] = file;
          (_b2 = options.onSealed) == null ? void 0 : _b2.call(options, n, file);
        }
        const count = sealed.filter((file) => file).length;
        if (count !== told2) (_c = options.onProgress) == null ? void 0 : _c.call(options, told2 = count, files.length);
      };
      let last;
      try {
        const { onState } = options;
        await this.waitForSignatures(signatureId, {
          ...only,
          ...onState ? { onState } : {},
          onStatus: (status) => collect(last = status)
        });
        return sealed.map((file) => file ?? new Blob());
      } catch (error) {
        const interrupted = error instanceof NotSigned && last !== void 0 && sealed.some((file) => file);
        if (!interrupted || last === void 0 || !await ((_b = options.onInterrupted) == null ? void 0 : _b.call(options, last))) throw error;
      }
    }
  }
  /** Judges the signatures of a file. No person is asked, and the file does not leave the computer; seals' regions are asked only where its policy says so. */
  verify(file, options = {}) {
    const at2 = options.at ? `&at=${encodeURIComponent(options.at.toISOString())}` : "";
    const name = encodeURIComponent(nameOf(file, options.name));
    return this.#upload(`/v1/verifications?name=${name}${at2}`, file, options.onProgress, options.signal);
  }
  /**
   * Listens to UKeys that come and go and to requests that change, until `signal` aborts; rejects when the stream is lost. One is enough
   * for a page. While it is open, the page counts as there.
   */
  async listen(onEvent, options = {}) {
    const { place, info, signer } = await this.#connection(options);
    if (!info.paired) throw new OriginNotApproved("unpaired");
    const authorization = await (signer == null ? void 0 : signer.authorization("GET", "/v1/events", void 0));
    try {
      await listen(this.#browser, at(place, "/v1/events").replace(/^http/, "ws"), authorization, onEvent, options.signal);
    } catch (error) {
      this.#connecting = void 0;
      throw error;
    }
  }
  // --- calls of an allowed site ---
  #call(method, path, json, signal) {
    return this.#proved(signal, async ({ place, signer }) => {
      const authorization = await (signer == null ? void 0 : signer.authorization(method, path, json));
      return read(await send(this.#browser, { method, url: at(place, path), authorization, signal, ...json === void 0 ? {} : { json } }));
    });
  }
  #upload(path, file, onProgress, signal) {
    return this.#proved(signal, async ({ place, signer }) => {
      const authorization = await (signer == null ? void 0 : signer.authorization("POST", path, void 0));
      return read(await upload(this.#browser, { url: at(place, path), file, type: typeOf(file), authorization, signal }, onProgress));
    });
  }
  /** Runs a call on the connection; once more on a new one when the agent was started anew meanwhile. */
  async #proved(signal, call) {
    for (let repeated = false; ; repeated = true) {
      const connection = await this.#connection(signal ? { signal } : {});
      if (!connection.info.paired) throw new OriginNotApproved("unpaired");
      try {
        return await call(connection);
      } catch (error) {
        if (error instanceof AgentRefused && error.code === "not_paired") {
          this.#connecting = void 0;
          if (repeated) throw new OriginNotApproved("unpaired");
        } else if (error instanceof Unreachable) {
          this.#connecting = void 0;
          throw await this.#lost(connection.place, signal, error);
        } else {
          throw error;
        }
      }
    }
  }
  /** A call got no answer: is the agent gone, or does it not want this site any more? It answers everybody's question who it is. */
  async #lost(place, signal, cause2) {
    try {
      const info = await read(await send(this.#browser, { method: "GET", url: at(place, "/v1/info"), signal, timeout: SILENT }));
      return info.paired ? new ConnectionLost({ cause: cause2 }) : new OriginNotApproved("forbidden");
    } catch (error) {
      return error instanceof SealAgentError && !(error instanceof AgentRefused) ? error : new ConnectionLost({ cause: cause2 });
    }
  }
  /** A call that answers a site which is not allowed yet. */
  async #open(place, path, call, signal) {
    try {
      return await read(await send(this.#browser, { ...call, url: at(place, path), signal }));
    } catch (error) {
      throw error instanceof Unreachable ? await this.#lost(place, signal, error) : error;
    }
  }
  // --- finding it ---
  /** One search at a time, whoever asks. Who joins one can leave it; when the one who began it leaves, the next begins anew. */
  async #connection(options) {
    const { signal } = options;
    for (; ; ) {
      if (signal == null ? void 0 : signal.aborted) throw new Cancelled({ cause: signal.reason });
      try {
        return await untilAborted(this.#connecting ?? this.#begin(options), signal);
      } catch (error) {
        if (!(error instanceof Cancelled) || (signal == null ? void 0 : signal.aborted)) throw error;
      }
    }
  }
  #begin(options) {
    const search = this.#search(options);
    this.#connecting = search;
    search.catch(() => {
      if (this.#connecting === search) this.#connecting = void 0;
    });
    return search;
  }
  async #search(options) {
    var _a;
    const credential = await this.#credentials.load().catch(() => void 0);
    let stranger;
    for (const place of this.#places) {
      const state = await permission(this.#browser);
      if (state === "prompt") (_a = options.onPermission) == null ? void 0 : _a.call(options);
      try {
        return await this.#greet(place, credential, state, options.signal);
      } catch (error) {
        if (error instanceof Unreachable) continue;
        if (error instanceof AgentNotRecognised || error instanceof TimedOut || error instanceof AgentRefused) stranger ??= error;
        else throw error;
      }
    }
    throw stranger ?? new NotRunning();
  }
  async #greet(place, credential, state, signal) {
    const crypto = this.#browser.crypto;
    const asked = credential && crypto ? challenge(crypto) : void 0;
    const path = credential && asked ? `/v1/info?challenge=${asked}&pairing=${credential.id}` : "/v1/info";
    const timeout = state === "prompt" ? void 0 : SILENT;
    const info = await read(await send(this.#browser, { method: "GET", url: at(place, path), signal, timeout }));
    if ((info == null ? void 0 : info.product) !== "sealagent" || !Array.isArray(info.apiVersions)) throw new Unreachable("another program");
    if (!info.apiVersions.includes(API_VERSION)) {
      throw new VersionTooOld(info.apiVersions, Math.max(...info.apiVersions) < API_VERSION ? "agent" : "site");
    }
    if (!credential || !crypto || !asked) return { place, info: told(info), signer: void 0 };
    if (info.run === void 0 || info.proof === void 0 || !await isGenuine(crypto, credential.key, asked, place.port, info.run, info.proof)) {
      throw new AgentNotRecognised();
    }
    return { place, info: { ...told(info), paired: true }, signer: new Signer(crypto, credential, info.run, info.seen ?? 0) };
  }
  #random() {
    var _a;
    return Array.from(((_a = this.#browser.crypto) == null ? void 0 : _a.getRandomValues(new Uint8Array(16))) ?? [], (byte) => byte.toString(16).padStart(2, "0")).join("");
  }
};
var at = ({ scheme, port }, path) => `${scheme}://127.0.0.1:${port}${path}`;
var isOpen = (status) => status.state === "waiting" || status.state === "signing";
function untilAborted(work, signal) {
  if (!signal) return work;
  return new Promise((resolve, reject) => {
    const abort = () => reject(new Cancelled({ cause: signal.reason }));
    signal.addEventListener("abort", abort);
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}
function told({ run: _run, proof: _proof, seen: _seen, ...info }) {
  return info;
}
function nameOf(file, name) {
  return name ?? file.name ?? "document";
}
function typeOf(file) {
  return ["application/ofd", "application/pdf"].includes(file.type) ? file.type : "application/octet-stream";
}
var ENDED = {
  declined: ["The person declined.", "用户已拒绝签章。"],
  expired: ["Nobody answered the question in time.", "签章询问超时未答复。"],
  cancelled: ["The request was withdrawn.", "签章请求已撤回。"],
  failed: ["The document could not be sealed.", "未能完成签章。"]
};
function notSigned(status) {
  const item = status.items.find((candidate) => candidate.code !== void 0);
  const [message, messageZh] = ENDED[status.state] ?? ["", ""];
  return new NotSigned(
    status.state,
    (item == null ? void 0 : item.code) ?? status.state,
    (item == null ? void 0 : item.message) ?? message,
    (item == null ? void 0 : item.messageZh) ?? messageZh,
    item == null ? void 0 : item.detail
  );
}
export {
  AgentNotRecognised,
  AgentRefused,
  BlockedByBrowser,
  BlockedByCsp,
  Cancelled,
  ConnectionLost,
  IndexedDbStore,
  NotRunning,
  NotSigned,
  OriginNotApproved,
  PORTS,
  SealAgent,
  SealAgentError,
  TLS_PORTS,
  TimedOut,
  VersionTooOld
};
