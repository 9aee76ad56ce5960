/** The parts of a browser that are used. */
export interface Browser {
    fetch: typeof fetch;
    XMLHttpRequest: new () => XMLHttpRequest;
    WebSocket: new (url: string, protocol: string) => WebSocket;
    /** `navigator.permissions`; absent in old browsers and on insecure pages. */
    permissions: {
        query(descriptor: PermissionDescriptor): Promise<{
            state: string;
        }>;
    } | undefined;
    /** Where `securitypolicyviolation` events arrive: the document, or a worker's global scope. */
    violations: EventTarget | undefined;
    /** `crypto.subtle` is absent on insecure pages. */
    crypto: Crypto | undefined;
    /** Milliseconds. */
    now(): number;
}
/** The browser that this runs in. */
export declare function thisBrowser(): Browser;
/** What the browser says about reaching programs on this device. `unsupported`: it does not ask (old browsers, Safari). */
export type Permission = 'granted' | 'denied' | 'prompt' | 'unsupported';
/**
 * The state. For wording, never as a gate: browsers say `prompt` where no question will come.
 * The second name is that of Chromium 142 to 144.
 */
export declare function permission(browser: Browser): Promise<Permission>;
