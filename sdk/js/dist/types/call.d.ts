import { type Browser } from './browser.js';
/** What to send. */
export interface Call {
    method: 'GET' | 'POST' | 'DELETE';
    url: string;
    /** JSON as text. Files go by `upload`. */
    json?: string;
    authorization?: string | undefined;
    signal?: AbortSignal | undefined;
    /** ms until an answer must have begun; only for calls that a person cannot be holding up. */
    timeout?: number | undefined;
}
/** Nothing answered there, and no other cause is known. */
export declare class Unreachable extends Error {
}
/**
 * Sends one request. Throws `Unreachable` when nothing answers, and the errors of this library for everything else.
 * No `cache` and no `targetAddressSpace`: the first switches the preflight cache off, the second throws where it is half known.
 */
export declare function send(browser: Browser, call: Call): Promise<Response>;
/** Hands a file over, with progress. XMLHttpRequest, because `fetch` reports none. */
export declare function upload(browser: Browser, call: {
    url: string;
    file: Blob;
    type: string;
    authorization?: string | undefined;
    signal?: AbortSignal | undefined;
}, onProgress: ((sent: number, total: number) => void) | undefined): Promise<Response>;
/** The answer's JSON or file, or the agent's own error. */
export declare function read<T>(answer: Response): Promise<T>;
/** Hears whether the page's own policy forbade the call to `url`. */
export declare function watchViolations(browser: Browser, url: string): {
    found(): Promise<string | undefined>;
    end: () => void | undefined;
};
