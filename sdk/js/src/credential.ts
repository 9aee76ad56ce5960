// The key of a pairing: it proves each call, and the agent proves itself with it. It never leaves the browser, and nothing that
// crosses the wire can be used twice.

/** What a pairing leaves behind. The key is not extractable: scripts can use it, not read it. */
export interface Credential {
  id: string;
  key: CryptoKey;
}

/** Where the site keeps its credential. */
export interface CredentialStore {
  load(): Promise<Credential | undefined>;
  save(credential: Credential | undefined): Promise<void>;
}

/** In the browser's own database, which belongs to this site's origin alone. */
export class IndexedDbStore implements CredentialStore {
  async load(): Promise<Credential | undefined> {
    return this.#with('readonly', (store) => store.get('pairing') as IDBRequest<Credential | undefined>);
  }

  async save(credential: Credential | undefined): Promise<void> {
    if (credential) await this.#with('readwrite', (store) => store.put(credential, 'pairing'));
    else await this.#with('readwrite', (store) => store.delete('pairing'));
  }

  async #with<T>(mode: IDBTransactionMode, work: (store: IDBObjectStore) => IDBRequest<T>): Promise<T> {
    const opening = indexedDB.open('sealagent', 1);
    opening.onupgradeneeded = () => opening.result.createObjectStore('credentials');
    const database = await settled(opening);
    try {
      return await settled(work(database.transaction('credentials', mode).objectStore('credentials')));
    } finally {
      database.close();
    }
  }
}

function settled<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

/** The key as the agent gives it (32 bytes, base64url). */
export async function importKey(crypto: Crypto, text: string): Promise<CryptoKey> {
  const bytes = Uint8Array.from(atob(text.replace(/-/g, '+').replace(/_/g, '/')), (c) => c.charCodeAt(0));
  return crypto.subtle.importKey('raw', bytes, { name: 'HMAC', hash: 'SHA-256' }, false, ['sign', 'verify']);
}

/** A fresh challenge for the agent: 128 random bits in hexadecimal digits. */
export function challenge(crypto: Crypto): string {
  return hex(crypto.getRandomValues(new Uint8Array(16)));
}

/** Whether the agent's proof over challenge, port and the mark of its run is right. */
export async function isGenuine(crypto: Crypto, key: CryptoKey, asked: string, port: number, run: string, proof: string): Promise<boolean> {
  return (await mac(crypto, key, ['SealAgent-info-1', asked, String(port), run])) === proof;
}

/** Makes the `Authorization` of calls. */
export class Signer {
  #last = 0;

  constructor(
    private readonly crypto: Crypto,
    private readonly credential: Credential,
    /** Changes when the agent starts anew, so that nothing from before can be played again. */
    private readonly run: string,
    /** Highest number that the agent has seen in this run. */
    seen: number,
  ) {
    this.#last = seen;
  }

  /** The header for one call. Numbers grow; several tabs share a key, so they start at the time and differ by chance. */
  async authorization(method: string, pathAndQuery: string, json: string | undefined): Promise<string> {
    const chance = this.crypto.getRandomValues(new Uint16Array(1))[0] ?? 0;
    this.#last = Math.max(this.#last + 1, Date.now() * 1000 + (chance % 1000));
    const n = this.#last;
    const digest = json === undefined ? '' : hex(new Uint8Array(await this.crypto.subtle.digest('SHA-256', new TextEncoder().encode(json))));
    const proof = await mac(this.crypto, this.credential.key, ['SealAgent-request-1', this.run, method, pathAndQuery, String(n), digest]);
    return `SealAgent id=${this.credential.id}, n=${n}, mac=${proof}`;
  }
}

async function mac(crypto: Crypto, key: CryptoKey, lines: string[]): Promise<string> {
  return hex(new Uint8Array(await crypto.subtle.sign('HMAC', key, new TextEncoder().encode(lines.join('\n')))));
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
