// One call to one address, and what its failure means. A browser gives the same TypeError for everything: only permission, time and
// violation events tell the causes apart.

import { type Browser, type Permission, permission } from './browser.js';
import { AgentRefused, BlockedByBrowser, BlockedByCsp, Cancelled, TimedOut } from './errors.js';

/** A call that failed after this time, in ms, failed because a person closed the question. */
const DISMISSED_AFTER = 500;
/** A violation event may come after the failure that it explains, by so many ms. */
const VIOLATION_GRACE = 50;

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
export class Unreachable extends Error {}

/**
 * Sends one request. Throws `Unreachable` when nothing answers, and the errors of this library for everything else.
 * No `cache` and no `targetAddressSpace`: the first switches the preflight cache off, the second throws where it is half known.
 */
export async function send(browser: Browser, call: Call): Promise<Response> {
  const headers: Record<string, string> = {};
  if (call.json !== undefined) headers['Content-Type'] = 'application/json';
  if (call.authorization !== undefined) headers['Authorization'] = call.authorization;
  return explained(browser, call.url, call.signal, async () => {
    const limit = deadline(call.signal, call.timeout);
    try {
      return await browser.fetch(call.url, {
        method: call.method,
        mode: 'cors',
        credentials: 'omit',
        redirect: 'error',
        referrerPolicy: 'no-referrer',
        headers,
        ...(call.json === undefined ? {} : { body: call.json }),
        ...(limit.signal ? { signal: limit.signal } : {}),
      });
    } catch (error) {
      if (limit.passed()) throw new TimedOut({ cause: error });
      throw error;
    } finally {
      limit.end();
    }
  });
}

/** Hands a file over, with progress. XMLHttpRequest, because `fetch` reports none. */
export async function upload(
  browser: Browser,
  call: { url: string; file: Blob; type: string; authorization?: string | undefined; signal?: AbortSignal | undefined },
  onProgress: ((sent: number, total: number) => void) | undefined,
): Promise<Response> {
  return explained(browser, call.url, call.signal, () => new Promise<Response>((resolve, reject) => {
    const request = new browser.XMLHttpRequest();
    const abort = () => request.abort();
    const end = <T>(settle: (value: T) => void) => (value: T) => {
      call.signal?.removeEventListener('abort', abort);
      settle(value);
    };
    request.open('POST', call.url);
    request.responseType = 'blob';
    request.setRequestHeader('Content-Type', call.type);
    if (call.authorization !== undefined) request.setRequestHeader('Authorization', call.authorization);
    if (onProgress) request.upload.onprogress = (event) => onProgress(event.loaded, event.total);
    request.onload = () => {
      const type = request.getResponseHeader('Content-Type');
      const body = request.status === 204 ? null : (request.response as Blob);
      end(resolve)(new Response(body, { status: request.status, headers: type ? { 'Content-Type': type } : {} }));
    };
    request.onerror = () => end(reject)(new TypeError('upload failed'));
    request.onabort = () => end(reject)(new DOMException('aborted', 'AbortError'));
    call.signal?.addEventListener('abort', abort);
    request.send(call.file);
  }));
}

/** The answer's JSON or file, or the agent's own error. */
export async function read<T>(answer: Response): Promise<T> {
  const isJson = (answer.headers.get('Content-Type') ?? '').startsWith('application/json');
  if (answer.ok) return (answer.status === 204 ? undefined : isJson ? await answer.json() : await answer.blob()) as T;
  const said = isJson ? ((await answer.json().catch(() => ({}))) as Record<string, unknown>) : {};
  const text = (key: string) => (typeof said[key] === 'string' ? (said[key] as string) : undefined);
  const message = text('message') ?? `The seal program answered ${answer.status}.`;
  throw new AgentRefused(
    answer.status,
    text('code') ?? 'unknown',
    message,
    text('messageZh') ?? message,
    text('requestId') ?? '',
    said['retryable'] === true,
    text('detail'),
  );
}

/** Runs `attempt` and turns its failure into one that says what happened. Repeats it once when the person allowed it meanwhile. */
async function explained(browser: Browser, url: string, signal: AbortSignal | undefined, attempt: () => Promise<Response>): Promise<Response> {
  let before = await permission(browser);
  for (let repeated = false; ; repeated = true) {
    if (signal?.aborted) throw new Cancelled({ cause: signal.reason });
    const violations = watchViolations(browser, url);
    const begun = browser.now();
    try {
      return await attempt();
    } catch (error) {
      if (signal?.aborted) throw new Cancelled({ cause: error });
      if (!(error instanceof TypeError)) throw error;
      const took = browser.now() - begun;
      const blocked = await violations.found();
      if (blocked !== undefined) throw new BlockedByCsp(blocked);
      // Asked again only now: a question that was answered during the call has changed it.
      const after = await permission(browser);
      if (before === 'prompt' && after === 'granted' && !repeated) {
        before = after;
        continue;
      }
      throw cause(after, took, error);
    } finally {
      violations.end();
    }
  }
}

function cause(state: Permission, took: number, error: TypeError): Error {
  if (state === 'denied') return new BlockedByBrowser('denied');
  if (state === 'prompt' && took > DISMISSED_AFTER) return new BlockedByBrowser('dismissed');
  return new Unreachable('nothing answers', { cause: error });
}

/** Hears whether the page's own policy forbade the call to `url`. */
export function watchViolations(browser: Browser, url: string) {
  let found: string | undefined;
  let wake: (() => void) | undefined;
  const listener = (event: Event) => {
    const { blockedURI, effectiveDirective } = event as SecurityPolicyViolationEvent;
    if (effectiveDirective !== 'connect-src' || !url.startsWith(blockedURI.replace(/\/$/, ''))) return;
    found = url;
    wake?.();
  };
  browser.violations?.addEventListener('securitypolicyviolation', listener);
  return {
    async found() {
      if (found === undefined && browser.violations) {
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, VIOLATION_GRACE);
          wake = () => { clearTimeout(timer); resolve(); };
        });
      }
      return found;
    },
    end: () => browser.violations?.removeEventListener('securitypolicyviolation', listener),
  };
}

/** The page's signal and a time limit as one. `AbortSignal.any` is younger than the browsers that this must run in. */
function deadline(signal: AbortSignal | undefined, timeout: number | undefined) {
  if (timeout === undefined) return { signal, passed: () => false, end: () => {} };
  const controller = new AbortController();
  let passed = false;
  const timer = setTimeout(() => { passed = true; controller.abort(); }, timeout);
  const abort = () => controller.abort(signal?.reason);
  signal?.addEventListener('abort', abort);
  return {
    signal: controller.signal,
    passed: () => passed,
    end: () => { clearTimeout(timer); signal?.removeEventListener('abort', abort); },
  };
}
