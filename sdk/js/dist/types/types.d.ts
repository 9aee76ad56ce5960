/** `GET /v1/info`. Everything but product and versions is there only for an origin that is allowed. */
export interface Info {
    product: string;
    apiVersions: number[];
    version?: string;
    user?: string;
    features?: string[];
    paired?: boolean;
}
/** A UKey that is plugged in. */
export interface Token {
    id: string;
    label: string;
    [more: string]: unknown;
}
/** A seal. `ready` seals can be used now; of the others the state says why not. */
export interface Seal {
    esId: string;
    name: string;
    state: string;
    validTo: string;
    [more: string]: unknown;
}
/** Pages by number, counted from 1, or by a word. */
export type Pages = 'all' | 'odd' | 'even' | number[];
/** Where a seal lands. Lengths are millimetres from the page's top left corner. */
export type Stamp = {
    kind: 'page';
    pages: Pages;
    x: number;
    y: number;
    width?: number;
} | {
    kind: 'keyword';
    text: string;
    nth?: number | 'all';
    dx: number;
    dy: number;
} | {
    kind: 'field';
    name: string;
} | {
    kind: 'straddle';
    edge: 'left' | 'right';
    pages: Pages;
    y: number;
} | {
    kind: 'none';
};
/** A document that was handed over. */
export interface Document {
    documentId: string;
    name: string;
    format: 'ofd' | 'pdf';
    pages: {
        number: number;
        widthMm: number;
        heightMm: number;
    }[];
    sm3: string;
    signatures: number;
    closed: boolean;
    /** Empty signature fields of a PDF; `places` in mm from the page's top left corner. */
    fields: {
        name: string;
        closes: boolean;
        places: {
            page: number;
            x: number;
            y: number;
            width: number;
            height: number;
        }[];
    }[];
    expiresAt: string;
}
/** One signature to ask for. With `sm3` or `name` the agent refuses the request unless the document is that one. */
export interface SigningItem {
    documentId: string;
    seal: string;
    sm3?: string;
    name?: string;
    stamp: Stamp;
    signedValue?: 'ses' | 'gbt35275';
    close?: boolean;
}
/** One signature over a digest alone; the agent's policy must allow it for the site. */
export interface DigestItem {
    name: string;
    sm3: string;
    property: string;
    seal: string;
    signedValue?: 'ses' | 'gbt35275';
}
/** Where a request, or one of its items, stands. */
export type State = 'waiting' | 'signing' | 'done' | 'declined' | 'expired' | 'cancelled' | 'failed';
/** `GET /v1/signatures/{id}` */
export interface Status {
    state: State;
    items: {
        state: State;
        code?: string;
        message?: string;
        messageZh?: string;
        detail?: string;
        warning?: string;
        signedValue?: string;
    }[];
}
/** The judgement about a file. */
export interface Report {
    indication: 'TOTAL_PASSED' | 'TOTAL_FAILED' | 'INDETERMINATE';
    signatures: unknown[];
    [more: string]: unknown;
}
/** What the agent tells by itself. After a pause in listening read the state anew: what happened meanwhile is not told again. */
export type AgentEvent = {
    type: 'tokenAdded';
    token: string;
} | {
    type: 'tokenRemoved';
    token: string;
}
/** `revoked`: the person ended it, and the stream ends. */
 | {
    type: 'pairingChanged';
    state: 'granted' | 'revoked';
} | {
    type: 'signatureChanged';
    signatureId: string;
    state: State;
    done: number;
};
