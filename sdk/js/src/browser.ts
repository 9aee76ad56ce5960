// What this library needs of a browser, so that a test can give something else, and what the browser says about permission.

/** The parts of a browser that are used. */
export interface Browser {
  fetch: typeof fetch;
  XMLHttpRequest: new () => XMLHttpRequest;
  WebSocket: new (url: string, protocol: string) => WebSocket;
  /** `navigator.permissions`; absent in old browsers and on insecure pages. */
  permissions: { query(descriptor: PermissionDescriptor): Promise<{ state: string }> } | undefined;
  /** Where `securitypolicyviolation` events arrive: the document, or a worker's global scope. */
  violations: EventTarget | undefined;
  /** `crypto.subtle` is absent on insecure pages. */
  crypto: Crypto | undefined;
  /** Milliseconds. */
  now(): number;
}

/** The browser that this runs in. */
export function thisBrowser(): Browser {
  return {
    fetch: (...call) => globalThis.fetch(...call),
    XMLHttpRequest: globalThis.XMLHttpRequest,
    WebSocket: globalThis.WebSocket,
    permissions: globalThis.navigator?.permissions,
    violations: globalThis.document ?? globalThis,
    crypto: globalThis.crypto,
    now: () => performance.now(),
  };
}

/** What the browser says about reaching programs on this device. `unsupported`: it does not ask (old browsers, Safari). */
export type Permission = 'granted' | 'denied' | 'prompt' | 'unsupported';

/**
 * The state. For wording, never as a gate: browsers say `prompt` where no question will come.
 * The second name is that of Chromium 142 to 144.
 */
export async function permission(browser: Browser): Promise<Permission> {
  for (const name of ['loopback-network', 'local-network-access']) {
    try {
      const { state } = (await browser.permissions?.query({ name: name as PermissionName })) ?? {};
      if (state === 'granted' || state === 'denied' || state === 'prompt') return state;
    } catch {
      // A browser throws a TypeError at a name that it does not know.
    }
  }
  return 'unsupported';
}
