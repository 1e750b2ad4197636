/** The replicated key-value store: its one door. */
export * from './client/client.ts';
export { createMemoryStore, type MemoryStore, type MemoryStoreOptions } from './client/memory.ts';
export { type Clock, systemClock } from './clock.ts';
export { OPEN_END, prefixEnd } from './mvcc/keys.ts';
