// The agent on the person's computer, as a site sees it.

import { type Browser, type Permission, permission, thisBrowser } from './browser.js';
import { type Call, Unreachable, read, send, upload } from './call.js';
import { type Credential, type CredentialStore, IndexedDbStore, Signer, challenge, importKey, isGenuine } from './credential.js';
import {
  AgentNotRecognised, AgentRefused, Cancelled, ConnectionLost, NotRunning, NotSigned, OriginNotApproved, SealAgentError, TimedOut, VersionTooOld,
} from './errors.js';
import { listen } from './events.js';
import type { AgentEvent, DigestItem, Document, Info, Report, Seal, SigningItem, Stamp, State, Status, Token } from './types.js';

/** Version of the interface that this library speaks. */
const API_VERSION = 1;
/** Where agents listen: the first port, and one more for each further user of the machine. A site's CSP names them. */
export const PORTS: readonly number[] = Array.from({ length: 10 }, (_, n) => 17329 + n);
/** Where agents listen by https, if at all. */
export const TLS_PORTS: readonly number[] = Array.from({ length: 10 }, (_, n) => 17339 + n);
/** An agent that may be called and does not answer by then is none, in ms. */
const SILENT = 2000;
/** Longest wait of one long poll, in seconds. */
const POLL = 20;

/** How to reach the agent. */
export interface Options {
  /** Ports to try, in order. */
  ports?: readonly number[];
  /**
   * Ports to try by https after those, in order; none unless it is said. For browsers that call nothing else from an https page
   * (Safari), where each computer has a certificate: `sealagent tls create`. See `TLS_PORTS`.
   */
  tlsPorts?: readonly number[];
  /** Where the pairing's key is kept. */
  credentials?: CredentialStore;
  /** For tests. */
  browser?: Browser;
}

/** One file of `sealDocuments`. */
export interface FileToSeal {
  file: Blob;
  seal: string;
  stamp: Stamp;
  /** Name of the document; of a `File` its own. */
  name?: string;
  signedValue?: 'ses' | 'gbt35275';
  /** No further signature shall be possible. */
  close?: boolean;
}

/** What `sealDocuments` takes. */
export interface BatchOptions extends CallOptions {
  /** Tells how many files are handed over. */
  onUploaded?: (files: number, total: number) => void;
  /** Tells when the person is asked (`waiting`), and when the UKey is (`signing`). */
  onState?: (state: State) => void;
  /** Tells how many files are sealed. */
  onProgress?: (sealed: number, total: number) => void;
  /** Gets each sealed file as soon as it is done; `index` is its place in the list. */
  onSealed?: (index: number, file: Blob) => void;
  /**
   * The batch broke off after some files were sealed: the UKey was pulled out, say. When this resolves to true, the person is asked for
   * the others; what is sealed stays so.
   */
  onInterrupted?: (status: Status) => boolean | Promise<boolean>;
  /** Name of a time stamp service of the agent's configuration. */
  timestamp?: string;
  /** Refuse files whose signatures are not all valid. */
  requireValid?: boolean;
}

/** What every call takes. */
export interface CallOptions {
  /** Withdraws the call. A signing request that is withdrawn before the UKey was asked leaves nothing behind. */
  signal?: AbortSignal;
}

/** What `connect` takes. */
export interface ConnectOptions extends CallOptions {
  /** The browser may ask the person now: show one sentence that tells them to choose Allow. */
  onPermission?: () => void;
}

/** What `pair` takes. */
export interface PairOptions extends CallOptions {
  /** How the site calls itself. */
  label?: string;
  /** The code to show, six digits: the person compares it with the one in the agent's window. */
  onCode: (code: string, expiresAt: string) => void;
}

/** What `sealDocument` takes. */
export interface SealOptions extends CallOptions {
  /** Name of the document; of a `File` its own. */
  name?: string;
  /** Tells how much of the file is handed over, in bytes. */
  onProgress?: (sent: number, total: number) => void;
  /** Tells when the person is asked (`waiting`), and when the UKey is (`signing`). */
  onState?: (state: State) => void;
  /** No further signature shall be possible. */
  close?: boolean;
}

interface Place {
  scheme: 'http' | 'https';
  port: number;
}

interface Connection {
  place: Place;
  info: Info;
  signer: Signer | undefined;
}

interface InfoAnswer extends Info {
  run?: string;
  proof?: string;
  seen?: number;
}

/**
 * The agent. Every method connects first if that was not done yet, and throws a `SealAgentError`.
 *
 * Until the browser's permission is known exactly one request is under way: Firefox drops the one that waits when another comes.
 */
export class SealAgent {
  readonly #places: readonly Place[];
  readonly #credentials: CredentialStore;
  readonly #browser: Browser;
  #connecting: Promise<Connection> | undefined;

  constructor(options: Options = {}) {
    const places = (scheme: Place['scheme'], ports: readonly number[]) => ports.map((port) => ({ scheme, port }));
    this.#places = [...places('http', options.ports ?? PORTS), ...places('https', options.tlsPorts ?? [])];
    this.#credentials = options.credentials ?? new IndexedDbStore();
    this.#browser = options.browser ?? thisBrowser();
  }

  /** What the browser says about reaching the agent. For wording: `prompt` does not mean that a question will come. */
  permission(): Promise<Permission> {
    return permission(this.#browser);
  }

  /** Finds the agent. Returns what it says of itself; `paired` is missing or false when `pair` is needed. */
  async connect(options: ConnectOptions = {}): Promise<Info> {
    return (await this.#connection(options)).info;
  }

  /** Asks the person to allow this site. */
  async pair(options: PairOptions): Promise<void> {
    const { signal } = options;
    const crypto = this.#browser.crypto;
    if (!crypto?.subtle) throw new OriginNotApproved('forbidden'); // an insecure page cannot keep a key, and the agent pairs with none
    await this.#credentials.save(undefined);
    this.#connecting = undefined;
    const { place } = await this.#connection({ ...(signal ? { signal } : {}) });
    const begin = { method: 'POST', json: JSON.stringify({ label: options.label ?? '' }) } as const;
    const { pairingId, code, expiresAt } = await this.#open<{ pairingId: string; code: string; expiresAt: string }>(place, '/v1/pairings', begin, signal);
    const path = `/v1/pairings/${pairingId}`;
    const withdraw = () => void this.#open(place, path, { method: 'DELETE' }, undefined).catch(() => {});
    signal?.addEventListener('abort', withdraw);
    try {
      options.onCode(code, expiresAt);
      for (;;) {
        const answer = await this.#open<{ state: string; id?: string; key?: string }>(place, `${path}?wait=${POLL}`, { method: 'GET' }, signal);
        if (answer.state === 'waiting') continue;
        if (answer.state !== 'granted' || !answer.id || !answer.key) {
          throw new OriginNotApproved(answer.state === 'expired' ? 'expired' : 'refused');
        }
        await this.#credentials.save({ id: answer.id, key: await importKey(crypto, answer.key) });
        this.#connecting = undefined;
        return;
      }
    } finally {
      signal?.removeEventListener('abort', withdraw);
    }
  }

  /** Forgets the pairing on this side. The person removes it on theirs with `sealagent origins revoke`. */
  async forget(): Promise<void> {
    await this.#credentials.save(undefined);
    this.#connecting = undefined;
  }

  /** The UKeys that are plugged in. */
  tokens(options: CallOptions = {}): Promise<Token[]> {
    return this.#call('GET', '/v1/tokens', undefined, options.signal);
  }

  /** The seals, those of absent UKeys too. */
  seals(options: CallOptions = {}): Promise<Seal[]> {
    return this.#call('GET', '/v1/seals', undefined, options.signal);
  }

  /** A seal's picture. */
  sealPicture(esId: string, options: CallOptions = {}): Promise<Blob> {
    return this.#call('GET', `/v1/seals/${encodeURIComponent(esId)}/picture`, undefined, options.signal);
  }

  /** Hands a document over. It is gone ten minutes after its last use. */
  uploadDocument(file: Blob, options: CallOptions & Pick<SealOptions, 'name' | 'onProgress'> = {}): Promise<Document> {
    const name = encodeURIComponent(nameOf(file, options.name));
    return this.#upload(`/v1/documents?name=${name}`, file, options.onProgress, options.signal);
  }

  /** A picture of a page (counted from 1) of a document that was handed over, as a PNG `width` pixels wide (50 to 2000). */
  pagePicture(documentId: string, page: number, options: CallOptions & { width?: number } = {}): Promise<Blob> {
    return this.#call('GET', `/v1/documents/${documentId}/pages/${page}.png?width=${options.width ?? 800}`, undefined, options.signal);
  }

  /** Takes a document back. */
  deleteDocument(documentId: string, options: CallOptions = {}): Promise<void> {
    return this.#call('DELETE', `/v1/documents/${documentId}`, undefined, options.signal);
  }

  /**
   * Asks for signatures and returns at once; the same key with the same request is the same request. One that broke off after some of its
   * items were signed is continued by that.
   */
  async requestSignatures(
    request: ({ items: SigningItem[] } | { digests: DigestItem[] }) & { count?: number; timestamp?: string; requireValid?: boolean },
    options: CallOptions & { idempotencyKey?: string } = {},
  ): Promise<string> {
    const body = { ...request, idempotencyKey: options.idempotencyKey ?? this.#random() };
    const { signatureId } = await this.#call<{ signatureId: string }>('POST', '/v1/signatures', JSON.stringify(body), options.signal);
    return signatureId;
  }

  /** Where a request stands. With `wait` the answer comes when it or one of its items has changed, or after so many seconds (20 at most). */
  signatureStatus(signatureId: string, options: CallOptions & { wait?: number } = {}): Promise<Status> {
    return this.#call('GET', `/v1/signatures/${signatureId}?wait=${options.wait ?? 0}`, undefined, options.signal);
  }

  /** Withdraws a request. Once the UKey was asked it still runs to its end, and nothing is delivered. */
  cancelSignatures(signatureId: string): Promise<void> {
    return this.#call('DELETE', `/v1/signatures/${signatureId}`, undefined, undefined);
  }

  /** Waits until a request has ended well; throws `NotSigned` otherwise. An abort withdraws the request. */
  async waitForSignatures(
    signatureId: string,
    options: CallOptions & Pick<SealOptions, 'onState'> & { onStatus?: (status: Status) => void | Promise<void> } = {},
  ): Promise<Status> {
    const { signal } = options;
    let status: Status = { state: 'waiting', items: [] };
    try {
      for (let told: State | undefined; isOpen(status); await options.onStatus?.(status)) {
        if (told === undefined) options.onState?.((told = status.state));
        status = await this.signatureStatus(signatureId, { wait: POLL, ...(signal ? { signal } : {}) });
        if (isOpen(status) && told !== status.state) options.onState?.((told = status.state));
      }
    } catch (error) {
      if (error instanceof Cancelled) await this.cancelSignatures(signatureId).catch(() => {});
      throw error;
    }
    if (status.state === 'done') return status;
    throw notSigned(status);
  }

  /** A signed document. May be fetched again until the request is deleted or ten minutes have passed. */
  signedDocument(signatureId: string, documentId: string, options: CallOptions = {}): Promise<Blob> {
    return this.#call('GET', `/v1/signatures/${signatureId}/documents/${documentId}`, undefined, options.signal);
  }

  /** All of it: hands the file over, asks the person for one seal on it, and returns the sealed file. */
  async sealDocument(file: Blob, seal: string, stamp: Stamp, options: SealOptions = {}): Promise<Blob> {
    const only = options.signal ? { signal: options.signal } : {};
    const { documentId } = await this.uploadDocument(file, options);
    const item: SigningItem = { documentId, seal, stamp, ...(options.close ? { close: true } : {}) };
    const signatureId = await this.requestSignatures({ items: [item] }, only);
    await this.waitForSignatures(signatureId, options);
    return this.signedDocument(signatureId, documentId, only);
  }

  /**
   * The same for many files: one list, one consent, one PIN. Each file comes through `onSealed` as soon as it is done, and all of them,
   * in order, at the end; throws `NotSigned` when one is missing then.
   */
  async sealDocuments(files: readonly FileToSeal[], options: BatchOptions = {}): Promise<Blob[]> {
    const only = options.signal ? { signal: options.signal } : {};
    const items: SigningItem[] = [];
    for (const { file, seal, stamp, name, signedValue, close } of files) {
      const document = await this.uploadDocument(file, { ...only, ...(name === undefined ? {} : { name }) });
      // With the digest the agent refuses the list if it holds another document than the one that was handed over.
      const { documentId, sm3 } = document;
      items.push({ documentId, sm3, name: document.name, seal, stamp, ...(signedValue ? { signedValue } : {}), ...(close ? { close } : {}) });
      options.onUploaded?.(items.length, files.length);
    }
    const { timestamp, requireValid } = options;
    const request = { items, count: items.length, ...(timestamp ? { timestamp } : {}), ...(requireValid ? { requireValid } : {}) };
    const key = { ...only, idempotencyKey: this.#random() };
    const sealed: (Blob | undefined)[] = files.map(() => undefined);
    let told = -1;
    for (;;) {
      const signatureId = await this.requestSignatures(request, key);
      const collect = async (status: Status) => {
        for (const [n, item] of status.items.entries()) {
          const documentId = items[n]?.documentId;
          if (item.state !== 'done' || sealed[n] || documentId === undefined) continue;
          const file = await this.signedDocument(signatureId, documentId, only);
          sealed[n] = file;
          options.onSealed?.(n, file);
        }
        const count = sealed.filter((file) => file).length;
        if (count !== told) options.onProgress?.((told = count), files.length);
      };
      let last: Status | undefined;
      try {
        const { onState } = options;
        await this.waitForSignatures(signatureId, {
          ...only,
          ...(onState ? { onState } : {}),
          onStatus: (status) => collect((last = status)),
        });
        return sealed.map((file) => file ?? new Blob());
      } catch (error) {
        const interrupted = error instanceof NotSigned && last !== undefined && sealed.some((file) => file);
        if (!interrupted || last === undefined || !(await options.onInterrupted?.(last))) throw error;
      }
    }
  }

  /** Judges the signatures of a file. No person is asked, and the file does not leave the computer; seals' regions are asked only where its policy says so. */
  verify(file: Blob, options: CallOptions & Pick<SealOptions, 'name' | 'onProgress'> & { at?: Date } = {}): Promise<Report> {
    const at = options.at ? `&at=${encodeURIComponent(options.at.toISOString())}` : '';
    const name = encodeURIComponent(nameOf(file, options.name));
    return this.#upload(`/v1/verifications?name=${name}${at}`, file, options.onProgress, options.signal);
  }

  /**
   * Listens to UKeys that come and go and to requests that change, until `signal` aborts; rejects when the stream is lost. One is enough
   * for a page. While it is open, the page counts as there.
   */
  async listen(onEvent: (event: AgentEvent) => void, options: CallOptions = {}): Promise<void> {
    const { place, info, signer } = await this.#connection(options);
    if (!info.paired) throw new OriginNotApproved('unpaired');
    const authorization = await signer?.authorization('GET', '/v1/events', undefined);
    try {
      await listen(this.#browser, at(place, '/v1/events').replace(/^http/, 'ws'), authorization, onEvent, options.signal);
    } catch (error) {
      this.#connecting = undefined; // the next call looks whether the agent is there, and which run of it
      throw error;
    }
  }

  // --- calls of an allowed site ---

  #call<T>(method: Call['method'], path: string, json: string | undefined, signal: AbortSignal | undefined): Promise<T> {
    return this.#proved(signal, async ({ place, signer }) => {
      const authorization = await signer?.authorization(method, path, json);
      return read<T>(await send(this.#browser, { method, url: at(place, path), authorization, signal, ...(json === undefined ? {} : { json }) }));
    });
  }

  #upload<T>(path: string, file: Blob, onProgress: SealOptions['onProgress'], signal: AbortSignal | undefined): Promise<T> {
    return this.#proved(signal, async ({ place, signer }) => {
      const authorization = await signer?.authorization('POST', path, undefined);
      return read<T>(await upload(this.#browser, { url: at(place, path), file, type: typeOf(file), authorization, signal }, onProgress));
    });
  }

  /** Runs a call on the connection; once more on a new one when the agent was started anew meanwhile. */
  async #proved<T>(signal: AbortSignal | undefined, call: (connection: Connection) => Promise<T>): Promise<T> {
    for (let repeated = false; ; repeated = true) {
      const connection = await this.#connection(signal ? { signal } : {});
      if (!connection.info.paired) throw new OriginNotApproved('unpaired');
      try {
        return await call(connection);
      } catch (error) {
        if (error instanceof AgentRefused && error.code === 'not_paired') {
          this.#connecting = undefined;
          if (repeated) throw new OriginNotApproved('unpaired');
        } else if (error instanceof Unreachable) {
          this.#connecting = undefined;
          throw await this.#lost(connection.place, signal, error);
        } else {
          throw error;
        }
      }
    }
  }

  /** A call got no answer: is the agent gone, or does it not want this site any more? It answers everybody's question who it is. */
  async #lost(place: Place, signal: AbortSignal | undefined, cause: Error): Promise<SealAgentError> {
    try {
      const info = await read<Info>(await send(this.#browser, { method: 'GET', url: at(place, '/v1/info'), signal, timeout: SILENT }));
      return info.paired ? new ConnectionLost({ cause }) : new OriginNotApproved('forbidden');
    } catch (error) {
      return error instanceof SealAgentError && !(error instanceof AgentRefused) ? error : new ConnectionLost({ cause });
    }
  }

  /** A call that answers a site which is not allowed yet. */
  async #open<T>(place: Place, path: string, call: Pick<Call, 'method' | 'json'>, signal: AbortSignal | undefined): Promise<T> {
    try {
      return await read<T>(await send(this.#browser, { ...call, url: at(place, path), signal }));
    } catch (error) {
      throw error instanceof Unreachable ? await this.#lost(place, signal, error) : error;
    }
  }

  // --- finding it ---

  /** One search at a time, whoever asks. Who joins one can leave it; when the one who began it leaves, the next begins anew. */
  async #connection(options: ConnectOptions): Promise<Connection> {
    const { signal } = options;
    for (;;) {
      if (signal?.aborted) throw new Cancelled({ cause: signal.reason });
      try {
        return await untilAborted(this.#connecting ?? this.#begin(options), signal);
      } catch (error) {
        if (!(error instanceof Cancelled) || signal?.aborted) throw error;
      }
    }
  }

  #begin(options: ConnectOptions): Promise<Connection> {
    const search = this.#search(options);
    this.#connecting = search;
    // Forgotten before anyone who waits for it hears of the failure, so that the next call searches anew.
    search.catch(() => { if (this.#connecting === search) this.#connecting = undefined; });
    return search;
  }

  async #search(options: ConnectOptions): Promise<Connection> {
    const credential = await this.#credentials.load().catch(() => undefined);
    let stranger: Error | undefined;
    for (const place of this.#places) {
      // Asked anew before each port: an answer on the one before has changed it.
      const state = await permission(this.#browser);
      if (state === 'prompt') options.onPermission?.();
      try {
        return await this.#greet(place, credential, state, options.signal);
      } catch (error) {
        if (error instanceof Unreachable) continue;
        // Another program may sit on the port of ours.
        if (error instanceof AgentNotRecognised || error instanceof TimedOut || error instanceof AgentRefused) stranger ??= error;
        else throw error;
      }
    }
    throw stranger ?? new NotRunning();
  }

  async #greet(place: Place, credential: Credential | undefined, state: Permission, signal: AbortSignal | undefined): Promise<Connection> {
    const crypto = this.#browser.crypto;
    const asked = credential && crypto ? challenge(crypto) : undefined;
    const path = credential && asked ? `/v1/info?challenge=${asked}&pairing=${credential.id}` : '/v1/info';
    // While a question may stand before the person, only they end the call.
    const timeout = state === 'prompt' ? undefined : SILENT;
    const info = await read<InfoAnswer>(await send(this.#browser, { method: 'GET', url: at(place, path), signal, timeout }));
    if (info?.product !== 'sealagent' || !Array.isArray(info.apiVersions)) throw new Unreachable('another program');
    if (!info.apiVersions.includes(API_VERSION)) {
      throw new VersionTooOld(info.apiVersions, Math.max(...info.apiVersions) < API_VERSION ? 'agent' : 'site');
    }
    if (!credential || !crypto || !asked) return { place, info: told(info), signer: undefined };
    if (info.run === undefined || info.proof === undefined || !(await isGenuine(crypto, credential.key, asked, place.port, info.run, info.proof))) {
      throw new AgentNotRecognised();
    }
    return { place, info: { ...told(info), paired: true }, signer: new Signer(crypto, credential, info.run, info.seen ?? 0) };
  }

  #random(): string {
    // Not randomUUID: insecure pages of an intranet have none.
    return Array.from(this.#browser.crypto?.getRandomValues(new Uint8Array(16)) ?? [], (byte) => byte.toString(16).padStart(2, '0')).join('');
  }
}

const at = ({ scheme, port }: Place, path: string) => `${scheme}://127.0.0.1:${port}${path}`;

const isOpen = (status: Status) => status.state === 'waiting' || status.state === 'signing';

function untilAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return work;
  return new Promise((resolve, reject) => {
    const abort = () => reject(new Cancelled({ cause: signal.reason }));
    signal.addEventListener('abort', abort);
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}

function told({ run: _run, proof: _proof, seen: _seen, ...info }: InfoAnswer): Info {
  return info;
}

function nameOf(file: Blob, name: string | undefined): string {
  return name ?? (file as Partial<File>).name ?? 'document';
}

/** The agent takes three types; what the browser guessed from the file's name may be another. */
function typeOf(file: Blob): string {
  return ['application/ofd', 'application/pdf'].includes(file.type) ? file.type : 'application/octet-stream';
}

const ENDED: Record<string, [string, string]> = {
  declined: ['The person declined.', '用户已拒绝签章。'],
  expired: ['Nobody answered the question in time.', '签章询问超时未答复。'],
  cancelled: ['The request was withdrawn.', '签章请求已撤回。'],
  failed: ['The document could not be sealed.', '未能完成签章。'],
};

function notSigned(status: Status): NotSigned {
  const item = status.items.find((candidate) => candidate.code !== undefined);
  const [message, messageZh] = ENDED[status.state] ?? ['', ''];
  return new NotSigned(
    status.state as NotSigned['state'],
    item?.code ?? status.state,
    item?.message ?? message,
    item?.messageZh ?? messageZh,
    item?.detail,
  );
}
