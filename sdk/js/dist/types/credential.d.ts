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
export declare class IndexedDbStore implements CredentialStore {
    #private;
    load(): Promise<Credential | undefined>;
    save(credential: Credential | undefined): Promise<void>;
}
/** The key as the agent gives it (32 bytes, base64url). */
export declare function importKey(crypto: Crypto, text: string): Promise<CryptoKey>;
/** A fresh challenge for the agent: 128 random bits in hexadecimal digits. */
export declare function challenge(crypto: Crypto): string;
/** Whether the agent's proof over challenge, port and the mark of its run is right. */
export declare function isGenuine(crypto: Crypto, key: CryptoKey, asked: string, port: number, run: string, proof: string): Promise<boolean>;
/** Makes the `Authorization` of calls. */
export declare class Signer {
    #private;
    private readonly crypto;
    private readonly credential;
    /** Changes when the agent starts anew, so that nothing from before can be played again. */
    private readonly run;
    constructor(crypto: Crypto, credential: Credential, 
    /** Changes when the agent starts anew, so that nothing from before can be played again. */
    run: string, 
    /** Highest number that the agent has seen in this run. */
    seen: number);
    /** The header for one call. Numbers grow; several tabs share a key, so they start at the time and differ by chance. */
    authorization(method: string, pathAndQuery: string, json: string | undefined): Promise<string>;
}
