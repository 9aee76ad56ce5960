import { type Browser, type Permission } from './browser.js';
import { type CredentialStore } from './credential.js';
import type { AgentEvent, DigestItem, Document, Info, Report, Seal, SigningItem, Stamp, State, Status, Token } from './types.js';
/** Where agents listen: the first port, and one more for each further user of the machine. A site's CSP names them. */
export declare const PORTS: readonly number[];
/** Where agents listen by https, if at all. */
export declare const TLS_PORTS: readonly number[];
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
/**
 * The agent. Every method connects first if that was not done yet, and throws a `SealAgentError`.
 *
 * Until the browser's permission is known exactly one request is under way: Firefox drops the one that waits when another comes.
 */
export declare class SealAgent {
    #private;
    constructor(options?: Options);
    /** What the browser says about reaching the agent. For wording: `prompt` does not mean that a question will come. */
    permission(): Promise<Permission>;
    /** Finds the agent. Returns what it says of itself; `paired` is missing or false when `pair` is needed. */
    connect(options?: ConnectOptions): Promise<Info>;
    /** Asks the person to allow this site. */
    pair(options: PairOptions): Promise<void>;
    /** Forgets the pairing on this side. The person removes it on theirs with `sealagent origins revoke`. */
    forget(): Promise<void>;
    /** The UKeys that are plugged in. */
    tokens(options?: CallOptions): Promise<Token[]>;
    /** The seals, those of absent UKeys too. */
    seals(options?: CallOptions): Promise<Seal[]>;
    /** A seal's picture. */
    sealPicture(esId: string, options?: CallOptions): Promise<Blob>;
    /** Hands a document over. It is gone ten minutes after its last use. */
    uploadDocument(file: Blob, options?: CallOptions & Pick<SealOptions, 'name' | 'onProgress'>): Promise<Document>;
    /** A picture of a page (counted from 1) of a document that was handed over, as a PNG `width` pixels wide (50 to 2000). */
    pagePicture(documentId: string, page: number, options?: CallOptions & {
        width?: number;
    }): Promise<Blob>;
    /** Takes a document back. */
    deleteDocument(documentId: string, options?: CallOptions): Promise<void>;
    /**
     * Asks for signatures and returns at once; the same key with the same request is the same request. One that broke off after some of its
     * items were signed is continued by that.
     */
    requestSignatures(request: ({
        items: SigningItem[];
    } | {
        digests: DigestItem[];
    }) & {
        count?: number;
        timestamp?: string;
        requireValid?: boolean;
    }, options?: CallOptions & {
        idempotencyKey?: string;
    }): Promise<string>;
    /** Where a request stands. With `wait` the answer comes when it or one of its items has changed, or after so many seconds (20 at most). */
    signatureStatus(signatureId: string, options?: CallOptions & {
        wait?: number;
    }): Promise<Status>;
    /** Withdraws a request. Once the UKey was asked it still runs to its end, and nothing is delivered. */
    cancelSignatures(signatureId: string): Promise<void>;
    /** Waits until a request has ended well; throws `NotSigned` otherwise. An abort withdraws the request. */
    waitForSignatures(signatureId: string, options?: CallOptions & Pick<SealOptions, 'onState'> & {
        onStatus?: (status: Status) => void | Promise<void>;
    }): Promise<Status>;
    /** A signed document. May be fetched again until the request is deleted or ten minutes have passed. */
    signedDocument(signatureId: string, documentId: string, options?: CallOptions): Promise<Blob>;
    /** All of it: hands the file over, asks the person for one seal on it, and returns the sealed file. */
    sealDocument(file: Blob, seal: string, stamp: Stamp, options?: SealOptions): Promise<Blob>;
    /**
     * The same for many files: one list, one consent, one PIN. Each file comes through `onSealed` as soon as it is done, and all of them,
     * in order, at the end; throws `NotSigned` when one is missing then.
     */
    sealDocuments(files: readonly FileToSeal[], options?: BatchOptions): Promise<Blob[]>;
    /** Judges the signatures of a file. No person is asked, and the file does not leave the computer; seals' regions are asked only where its policy says so. */
    verify(file: Blob, options?: CallOptions & Pick<SealOptions, 'name' | 'onProgress'> & {
        at?: Date;
    }): Promise<Report>;
    /**
     * Listens to UKeys that come and go and to requests that change, until `signal` aborts; rejects when the stream is lost. One is enough
     * for a page. While it is open, the page counts as there.
     */
    listen(onEvent: (event: AgentEvent) => void, options?: CallOptions): Promise<void>;
}
