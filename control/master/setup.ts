/**
 * What a master is before it runs: its cluster's secrets and settings, made at the first start of the first master, fetched
 * by one that joins, read back by one that starts again.
 */
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { JoinError, type JoinSession, openJoinSession } from '../join/client.ts';
import {
  type ClusterSettings,
  clusterSettingsSchema,
  type JoinMasterAnswer,
  joinMasterAnswerSchema,
  PATHS,
} from '../join/protocol.ts';
import {
  type ClusterSecrets,
  createClusterSecrets,
  loadClusterSecrets,
  saveClusterSecrets,
  writePrivately,
} from '../pki/files.ts';
import { parseToken } from '../pki/token.ts';

/** The cluster that a joining master was told of. */
export interface Joining {
  readonly session: JoinSession;
  readonly membership: JoinMasterAnswer['membership'];
}
export interface MasterSetup {
  readonly secrets: ClusterSecrets;
  readonly settings: ClusterSettings;
  /** Set while this master has yet to become a member. */
  readonly joining: Joining | undefined;
  /** True at the very first start of a cluster's first master. */
  readonly isNewCluster: boolean;
}
export interface SetupOptions {
  readonly name: string;
  readonly dataDir: string;
  readonly token: string | undefined;
  readonly join: readonly string[] | undefined;
  readonly clusterCIDR: string | undefined;
  readonly serviceCIDR: string | undefined;
}
export interface SetupTools {
  readonly nowMs: number;
  readonly delay: (ms: number, signal?: AbortSignal) => Promise<void>;
  readonly signal: AbortSignal;
  /** Whether the store on disk knows already who it is. */
  readonly isMember: boolean;
}

/** Exit code of a master that must not be started again as it is. */
export const EXIT_DO_NOT_RESTART = 3;
const DEFAULTS: ClusterSettings = {
  clusterCIDR: '10.42.0.0/16',
  serviceCIDR: '10.192.0.0/12',
  clusterDomain: 'cluster.local',
};
const RETRY_MS = 250;
const RETRY_MS_MAX = 5_000;
/** How long a joiner keeps asking before it gives up, to be started again. */
const JOIN_ATTEMPTS_MAX = 60;

/** @throws {SetupError} with a sentence on what to do. */
export class SetupError extends Error {
  override readonly name = 'SetupError';
  readonly code = 'MASTER_SETUP';
  readonly exitCode = EXIT_DO_NOT_RESTART;
}

/** Finds out or decides what this master is. Secrets are on disk when it resolves. */
export async function setUp(options: SetupOptions, tools: SetupTools): Promise<MasterSetup> {
  const folder = join(options.dataDir, 'pki');
  const settingsFile = join(options.dataDir, 'settings.json');
  await mkdir(options.dataDir, { recursive: true, mode: 0o700 });
  const secrets = await loadClusterSecrets(folder);
  if (secrets && tools.isMember) {
    const settings = clusterSettingsSchema.parse(JSON.parse(await readFile(settingsFile, 'utf8')));
    return { secrets, settings, joining: undefined, isNewCluster: false };
  }
  if (tools.isMember) {
    throw new SetupError(
      `${folder} is gone, but the store is there: restore the folder from a backup, or remove ${options.dataDir} and join again`,
    );
  }
  const made = options.join ? await askToJoin(options, options.join, tools) : await makeCluster(options, tools);
  await writePrivately(settingsFile, `${JSON.stringify(made.settings, undefined, 2)}\n`);
  await saveClusterSecrets(folder, made.secrets);
  return made;
}

async function makeCluster(options: SetupOptions, { nowMs }: SetupTools): Promise<MasterSetup> {
  const settings = {
    ...DEFAULTS,
    ...(options.clusterCIDR !== undefined && { clusterCIDR: options.clusterCIDR }),
    ...(options.serviceCIDR !== undefined && { serviceCIDR: options.serviceCIDR }),
  };
  // Secrets that are there already belong to a first start that was interrupted: they stay.
  const secrets = (await loadClusterSecrets(join(options.dataDir, 'pki'))) ?? (await createClusterSecrets({ nowMs }));
  return { secrets, settings, joining: undefined, isNewCluster: true };
}

async function askToJoin(
  options: SetupOptions,
  servers: readonly string[],
  { delay, signal }: SetupTools,
): Promise<MasterSetup> {
  if (options.token === undefined) {
    throw new SetupError(
      'joining needs a token: make one with `raftsman token create --role master` on a master, and give it with --token',
    );
  }
  const token = parseToken(options.token);
  let delayMs = RETRY_MS;
  for (let attempt = 1; ; attempt++) {
    for (const server of servers) {
      try {
        const session = await openJoinSession(server, token);
        const { membership, secrets, settings } = await session.call(
          PATHS.joinMaster,
          { name: options.name },
          joinMasterAnswerSchema,
        );
        return { secrets, settings, joining: { session, membership }, isNewCluster: false };
      } catch (error) {
        if (!(error instanceof JoinError)) throw error;
        if (!error.retriable) throw Object.assign(error, { exitCode: EXIT_DO_NOT_RESTART });
        if (attempt >= JOIN_ATTEMPTS_MAX || signal.aborted) throw error;
      }
    }
    await delay(delayMs, signal).catch(() => {});
    delayMs = Math.min(delayMs * 1.5, RETRY_MS_MAX);
  }
}
