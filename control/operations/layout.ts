/** What lies in a master's data directory, as far as operations move or make it. */
import { join } from 'node:path';

/** The member's log and state; what `openStore` calls `dataDir`. */
export const STORE = 'store';
/** A new store, whole, that is about to take the place of `store`. */
const INCOMING_STORE = 'store.incoming';
/** Everything that makes this directory one of a member of a certain cluster. */
export const IDENTITY = [
  STORE,
  'pki',
  'settings.json',
  'prepared',
  'member.json',
  'datastore.json',
  'kubeconfig',
] as const;

export const paths = {
  store: (dataDir: string) => join(dataDir, STORE),
  incomingStore: (dataDir: string) => join(dataDir, INCOMING_STORE),
  /** A store that is not whole yet. */
  storeInTheMaking: (dataDir: string) => join(dataDir, 'store.making'),
  pki: (dataDir: string) => join(dataDir, 'pki'),
  settings: (dataDir: string) => join(dataDir, 'settings.json'),
  member: (dataDir: string) => join(dataDir, 'member.json'),
  /** Says that the store is an external one, and where. */
  datastore: (dataDir: string) => join(dataDir, 'datastore.json'),
  /** Says that the member that lived here was removed: nothing starts here any more. */
  removed: (dataDir: string) => join(dataDir, 'removed.json'),
  snapshots: (dataDir: string) => join(dataDir, 'snapshots'),
};
