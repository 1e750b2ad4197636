/**
 * A member of a store of its own process, with etcd's API in front of it, for tests to talk to and to kill. What it is comes
 * as JSON in the first argument; it prints `ready` once it serves.
 */
import { readFileSync } from 'node:fs';
import { collectDefaultMetrics, Registry } from 'prom-client';
import { openStore, RemoteClient, systemClock } from '../../store/index.ts';

export interface DoorMemberOptions {
  readonly name: string;
  readonly dataDir: string;
  readonly peerPort: number;
  readonly servePort: number;
  readonly etcdPort: number;
  /** A file with key, certificate and authority as JSON. */
  readonly tlsFile: string;
  /** The port where a member serves that is there already; undefined for the first. */
  readonly join?: number;
  /** Joins, but leaves it to others to make it a voter. */
  readonly isLearner?: boolean;
}

const options = JSON.parse(process.argv[2] ?? '') as DoorMemberOptions; // written by the test
const { name, dataDir, peerPort, servePort, etcdPort, join, isLearner } = options;
const tls = JSON.parse(readFileSync(options.tlsFile, 'utf8'));
const host = '127.0.0.1';
const metrics = new Registry();
collectDefaultMetrics({ register: metrics });
const clock = systemClock;
const others =
  join === undefined
    ? undefined
    : new RemoteClient({ urls: [`wss://${host}:${join}`], tls, clock, random: Math.random, timeoutMs: 60_000 });
await openStore({
  name,
  dataDir,
  beginning:
    others === undefined
      ? { type: 'bootstrap' }
      : {
          type: 'join',
          discover: async () => ({ ...(await others.members()), members: [...(await others.members()).members] }),
        },
  ...(others !== undefined && isLearner !== true && { announce: member => others.addMember(member) }),
  peer: { address: `${host}:${peerPort}`, listen: { host, port: peerPort }, tls },
  clientUrl: `https://${host}:${etcdPort}`,
  serve: { listen: { host, port: servePort }, tls },
  serveEtcd: { listen: { host, port: etcdPort }, tls },
  clock,
  random: Math.random,
  onFatal: error => {
    console.error(error);
    process.exit(1);
  },
  historyKeepMs: 3_600_000,
  metrics,
});
console.log('ready');
