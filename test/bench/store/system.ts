/** What the bench compares: a cluster of three members on loopback, and how load is put on it. */
import { createAuthority, issueCertificate } from '../../../control/pki/authority.ts';

export const MEMBERS = 3;
export const KEY_BYTES = 8;
export const VALUE_BYTES = 256;

/** PEM texts; one certificate serves every member and every client. */
export interface Tls {
  readonly key: string;
  readonly cert: string;
  readonly ca: string;
}

/** How a driver's clients reach the members. `raftsman` is the store's own protocol, `etcd` is gRPC. */
export interface Target {
  readonly protocol: 'raftsman' | 'etcd';
  /** Of all members, the leader first. */
  readonly urls: readonly string[];
  readonly tls?: Tls;
}

/** A cluster that runs. */
export interface System {
  readonly name: string;
  /** Clients of this program talk to these; the leader is found out anew at each call. */
  target(): Promise<Target>;
  /** The same by etcd's protocol, where that is not the one above. */
  etcdTarget?(): Promise<Target>;
  /** Resident memory of all members, in bytes. */
  residentBytes(): Promise<number[]>;
  /** Kills all members and starts them again on their data; resolves when they have a leader. */
  restart(): Promise<void>;
  /** The longest time that each member's event loop was held up since this was asked last; only where there is one. */
  longestTurnsMs?(): Promise<number[]>;
  stop(): Promise<void>;
}

export async function makeTls(): Promise<Tls> {
  const nowMs = Date.now();
  const authority = await createAuthority('bench-ca', { nowMs });
  const leaf = await issueCertificate(
    authority,
    { commonName: 'bench', hosts: ['127.0.0.1'], usages: ['client', 'server'] },
    { nowMs, validDays: 1 },
  );
  return { key: leaf.key, cert: leaf.certificate, ca: authority.certificate };
}

/** Eight bytes, different for each number. */
export function keyOf(sequence: number): string {
  return sequence.toString(36).padStart(KEY_BYTES, '0');
}
