export * from './agent.js';
export type { Permission } from './browser.js';
export { type Credential, type CredentialStore, IndexedDbStore } from './credential.js';
export * from './errors.js';
export type * from './types.js';
