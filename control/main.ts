/**
 * A master, composed: a member of the store, an API server on it, and scheduler and controllers while the member leads.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { hostname, networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import type { Clock } from './client/clock.ts';

export interface MasterOptions {
  readonly name: string;
  readonly dataDir: string;
  readonly listen: { readonly host: string; readonly port: number };
  readonly peerListen: { readonly host: string; readonly port: number };
  readonly token: string | undefined;
  readonly join: readonly string[] | undefined;
  readonly withAgent: boolean;
  readonly tlsSans: readonly string[];
  readonly clusterCIDR: string | undefined;
  readonly serviceCIDR: string | undefined;
}
/** What the process hands in. */
export interface MasterContext {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stderr: NodeJS.WritableStream;
  readonly command: readonly [string, ...string[]];
  readonly clock: Clock;
  readonly random: () => number;
  readonly delay: (ms: number, signal?: AbortSignal) => Promise<void>;
  readonly onSignal: (signals: readonly NodeJS.Signals[], callback: (signal: NodeJS.Signals) => void) => () => void;
  readonly setExitCode: (code: number) => void;
}
void [randomBytes, randomUUID, hostname, networkInterfaces, join, pino, mkdir, readFile];
