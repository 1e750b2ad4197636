import test from 'ava';
import { storeContract } from './contract.ts';
import { createMemoryStore } from './memory.ts';
import { watchContract } from './watch-contract.ts';

const make = async () => {
  const store = createMemoryStore();
  return { store, done: () => store.close() };
};

storeContract(test, 'memory', make);
watchContract(test, 'memory', make);
