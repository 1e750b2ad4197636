import test from 'ava';
import { storeContract } from './contract.ts';
import { createMemoryStore } from './memory.ts';

storeContract(test, 'memory', async () => {
  const store = createMemoryStore();
  return { store, done: () => store.close() };
});
