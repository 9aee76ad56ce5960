import type { Browser } from './browser.js';
import type { AgentEvent } from './types.js';
/** Listens to the stream at `url` until `signal` aborts, and then resolves; rejects when the stream ends otherwise. */
export declare function listen(browser: Browser, url: string, authorization: string | undefined, onEvent: (event: AgentEvent) => void, signal: AbortSignal | undefined): Promise<void>;
