// The agent's event stream. A browser tells even less about a WebSocket than about a call: Chromium fires `error` alone when the page's
// own policy forbids it, Firefox throws in the constructor.

import type { Browser } from './browser.js';
import { watchViolations } from './call.js';
import { BlockedByCsp, ConnectionLost, OriginNotApproved } from './errors.js';
import type { AgentEvent } from './types.js';

/** The agent's "no": no credential, or no pairing any more. */
const POLICY = 1008;

/** Listens to the stream at `url` until `signal` aborts, and then resolves; rejects when the stream ends otherwise. */
export async function listen(
  browser: Browser,
  url: string,
  authorization: string | undefined,
  onEvent: (event: AgentEvent) => void,
  signal: AbortSignal | undefined,
): Promise<void> {
  const violations = watchViolations(browser, url);
  let socket: WebSocket | undefined;
  let abort = (): void => {};
  try {
    await new Promise<void>((resolve, reject) => {
      // A SecurityError here rejects.
      const open = new browser.WebSocket(url, 'sealagent.v1');
      socket = open;
      open.onopen = () => { if (authorization !== undefined) open.send(JSON.stringify({ authorization })); };
      open.onmessage = (message) => onEvent(JSON.parse(String(message.data)) as AgentEvent);
      open.onclose = (event) => reject(event.code === POLICY ? new OriginNotApproved('unpaired') : new ConnectionLost());
      open.onerror = () => reject(new ConnectionLost());
      abort = () => resolve();
      signal?.addEventListener('abort', abort, { once: true });
      if (signal?.aborted) resolve();
    });
  } catch (error) {
    if (error instanceof OriginNotApproved) throw error;
    const blocked = await violations.found();
    if (blocked !== undefined) throw new BlockedByCsp(blocked);
    throw error instanceof ConnectionLost ? error : new ConnectionLost({ cause: error });
  } finally {
    violations.end();
    signal?.removeEventListener('abort', abort);
    if (socket) {
      socket.onclose = socket.onerror = socket.onmessage = null;
      socket.close();
    }
  }
}
