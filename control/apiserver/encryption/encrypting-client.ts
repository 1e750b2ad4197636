/**
 * The store as the API server sees it: plain values on this side, sealed ones on the other. What is behind it (the log, the
 * members' disks, snapshots, etcd's door) never sees the value of an encrypted kind. Keys, revisions and leases stay readable.
 */
import type {
  Branches,
  KeyValue,
  Operation,
  OperationResult,
  RangeRequest,
  RangeResult,
  StoreClient,
  Transaction,
  TransactionResult,
  WatchBatch,
  WatchEvent,
  WatchRequest,
} from '../../../store/index.ts';
import { DamagedValueError, type Encryption, UnknownKeyError } from './encryption.ts';

export interface EncryptingClientOptions {
  readonly store: StoreClient;
  readonly encryption: Encryption;
  /** Asks the other masters for keys that this one lacks. Resolves when that is done, with or without success. */
  readonly fetchKeys?: () => Promise<void>;
  /** Hears of values that are left out of lists and watches because they are damaged: one of them must not stop all others. */
  readonly onDamaged?: (error: DamagedValueError) => void;
}

/** `store`, with its values sealed on the way in and opened on the way out. Throws, besides, what {@link Encryption.open} throws. */
export function encryptingClient({ store, encryption, fetchKeys, onDamaged }: EncryptingClientOptions): StoreClient {
  /** A key may have been made a moment ago while this master was not there: one that it lacks is asked for once. */
  const opened = async <T>(open: () => T): Promise<T> => {
    try {
      return open();
    } catch (error) {
      if (!(error instanceof UnknownKeyError) || !fetchKeys) throw error;
      await fetchKeys();
      return open();
    }
  };
  const openItem = (item: KeyValue): KeyValue => {
    const value = encryption.open(item.key, item.value);
    return value === item.value ? item : { ...item, value };
  };
  /** One among many: undefined if it is damaged, and told. */
  const openAmong = (item: KeyValue): KeyValue | undefined => {
    try {
      return openItem(item);
    } catch (error) {
      if (!(error instanceof DamagedValueError)) throw error;
      onDamaged?.(error);
      return undefined;
    }
  };
  const openRange = (result: RangeResult, isList: boolean): RangeResult => {
    if (result.items.length === 0) return result;
    const items: KeyValue[] = [];
    for (const item of result.items) {
      // Values that were not asked for are empty, and sealed ones never are.
      const open = item.value.length === 0 ? item : isList ? openAmong(item) : openItem(item);
      if (open) items.push(open);
    }
    return { ...result, items };
  };
  /** What was there before, if it still opens: nobody needs it enough to fail for it. */
  const openPrevious = (item: KeyValue | undefined): KeyValue | undefined => {
    if (!item || item.value.length === 0) return item;
    try {
      return openItem(item);
    } catch {
      return undefined;
    }
  };
  const openResult = (result: OperationResult): OperationResult => {
    switch (result.type) {
      case 'put':
        return result.previous ? { ...result, previous: openPrevious(result.previous) } : result;
      case 'delete':
        return { ...result, deleted: result.deleted.map(openPrevious).filter(item => item !== undefined) };
      case 'range':
        return { ...result, result: openRange(result.result, false) };
      case 'transaction':
        return { ...result, results: result.results.map(openResult) };
    }
  };
  const openTransaction = (done: Promise<TransactionResult>) =>
    done.then(result => opened(() => ({ ...result, results: result.results.map(openResult) })));
  const sealOperation = (operation: Operation): Operation => {
    if (operation.type === 'transaction') return { ...operation, ...sealBranches(operation) };
    if (operation.type !== 'put' || operation.keepValue) return operation;
    const value = encryption.seal(operation.key, operation.value);
    return value === operation.value ? operation : { ...operation, value };
  };
  const sealBranches = ({ compare, then, otherwise }: Branches): Branches => ({
    ...(compare && { compare }),
    then: then.map(sealOperation),
    ...(otherwise && { otherwise: otherwise.map(sealOperation) }),
  });
  const openEvent = (event: WatchEvent): WatchEvent => {
    const item = event.type === 'put' ? openAmong(event.item) : event.item;
    const previous = openPrevious(event.previous);
    // As good as gone: an older state must not pass for the present one.
    if (!item) return { type: 'delete', item: { ...event.item, value: new Uint8Array() }, previous };
    return item === event.item && previous === event.previous ? event : { ...event, item, previous };
  };

  return {
    range: (request: RangeRequest) =>
      store.range(request).then(result => opened(() => openRange(result, request.end !== undefined))),
    put: (key, value, options) => openTransaction(store.put(key, encryption.seal(key, value), options)),
    delete: (key, options) => openTransaction(store.delete(key, options)),
    transaction: (transaction: Transaction) =>
      openTransaction(store.transaction({ ...transaction, ...sealBranches(transaction) })),
    async *watch(request: WatchRequest): AsyncGenerator<WatchBatch> {
      for await (const batch of store.watch(request)) {
        if (batch.events.length === 0) yield batch;
        else yield await opened(() => ({ ...batch, events: batch.events.map(openEvent) }));
      }
    },
    grantLease: (ttlSeconds, options) => store.grantLease(ttlSeconds, options),
    keepLeaseAlive: id => store.keepLeaseAlive(id),
    revokeLease: id => store.revokeLease(id),
    leaseTimeToLive: id => store.leaseTimeToLive(id),
    leases: () => store.leases(),
    compact: revision => store.compact(revision),
    status: () => store.status(),
    saveSnapshot: () => store.saveSnapshot(),
    members: () => store.members(),
    addLearner: (member, options) => store.addLearner(member, options),
    addMember: (member, options) => store.addMember(member, options),
    promoteMember: (id, options) => store.promoteMember(id, options),
    removeMember: (id, options) => store.removeMember(id, options),
    replaceMember: (id, by, options) => store.replaceMember(id, by, options),
    updateMember: (id, update, options) => store.updateMember(id, update, options),
    transferLeadership: to => store.transferLeadership(to),
    alarms: () => store.alarms(),
    disarmAlarm: filter => store.disarmAlarm(filter),
    hash: revision => store.hash(revision),
    close: () => store.close(),
  };
}
