import { existsSync } from 'node:fs';
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
  createEncryptionKeys,
  encryptionKeysFile,
  loadEncryptionKeys,
  mergeEncryptionKeys,
  NO_KEYS,
  saveEncryptionKeys,
} from '../pki/encryption-keys.ts';
import {
  type ClusterSecrets,
  createClusterSecrets,
  loadClusterSecrets,
  saveClusterSecrets,
  writePrivately,
} from '../pki/files.ts';
import { parseToken } from '../pki/token.ts';
import { clusterRangeTrouble } from './cluster-ranges.ts';

export type Membership = JoinMasterAnswer['membership'];
export interface MasterSetup {
  readonly secrets: ClusterSecrets;
  readonly settings: ClusterSettings;
  /** True on a cluster's first master until its first objects are there: nobody can have joined before. */
  readonly isNewCluster: boolean;
  /** Says that they are; durable. */
  readonly notePrepared: () => Promise<void>;
  /** For a master that joins: who belongs to the cluster. Asked only while the store is empty. */
  readonly discover: () => Promise<Membership>;
}
export interface SetupOptions {
  readonly name: string;
  readonly dataDir: string;
  readonly token: string | undefined;
  readonly join: readonly string[] | undefined;
  /** The member, by name or id, whose place it takes. */
  readonly replace?: string | undefined;
  readonly clusterCIDR: string | undefined;
  readonly serviceCIDR: string | undefined;
}
export interface SetupTools {
  readonly nowMs: number;
  readonly delay: (ms: number, signal?: AbortSignal) => Promise<void>;
  readonly signal: AbortSignal;
  /** Whether there is a store on disk. */
  readonly hasStore: boolean;
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
  const joiner = new Joiner(options, tools);
  const preparedFile = join(options.dataDir, 'prepared');
  const shared = {
    discover: () => joiner.discover(),
    isNewCluster: !options.join && !existsSync(preparedFile),
    notePrepared: () => writePrivately(preparedFile, ''),
  };
  const known = await loadClusterSecrets(folder);
  if (known) {
    const settings = clusterSettingsSchema.parse(JSON.parse(await readFile(settingsFile, 'utf8')));
    return { secrets: known, settings, ...shared };
  }
  if (tools.hasStore) {
    throw new SetupError(
      `${folder} is gone, but the store is there: restore the folder from a backup, or remove ${options.dataDir} and join again`,
    );
  }
  const decided = options.join ? await joiner.ask() : await decideCluster(options, tools.nowMs);
  const { secrets, settings, encryptionKeys } = decided;
  await writePrivately(settingsFile, `${JSON.stringify(settings, undefined, 2)}\n`);
  // A restored data directory may have some already, for what the snapshot holds.
  const keysFile = encryptionKeysFile(options.dataDir);
  const present = (await loadEncryptionKeys(keysFile)) ?? NO_KEYS;
  await saveEncryptionKeys(keysFile, mergeEncryptionKeys(present, encryptionKeys ?? NO_KEYS));
  await saveClusterSecrets(folder, secrets);
  return { secrets, settings, ...shared };
}

async function decideCluster(
  options: SetupOptions,
  nowMs: number,
): Promise<Pick<JoinMasterAnswer, 'secrets' | 'settings' | 'encryptionKeys'>> {
  const settings = {
    ...DEFAULTS,
    ...(options.clusterCIDR !== undefined && { clusterCIDR: options.clusterCIDR }),
    ...(options.serviceCIDR !== undefined && { serviceCIDR: options.serviceCIDR }),
  };
  const trouble = clusterRangeTrouble(settings);
  if (trouble !== undefined) throw new SetupError(trouble);
  return { secrets: await createClusterSecrets({ nowMs }), settings, encryptionKeys: createEncryptionKeys(nowMs) };
}

/** Talks to the cluster that this master is to join, and remembers what it said. */
class Joiner {
  readonly #options: SetupOptions;
  readonly #tools: SetupTools;
  #session: JoinSession | undefined;
  #answer: JoinMasterAnswer | undefined;

  constructor(options: SetupOptions, tools: SetupTools) {
    this.#options = options;
    this.#tools = tools;
  }

  async session(): Promise<JoinSession> {
    const { token, join: servers } = this.#options;
    if (!servers || token === undefined) {
      throw new SetupError(
        'joining needs --join and --token: make a token with `raftsman token create --role master` on a master',
      );
    }
    const parsed = parseToken(token);
    this.#session ??= await retryJoin(servers, this.#tools, server => openJoinSession(server, parsed));
    return this.#session;
  }

  async ask(): Promise<JoinMasterAnswer> {
    const { name, replace } = this.#options;
    const session = await this.session();
    this.#answer ??= await session
      .call(PATHS.joinMaster, { name, ...(replace !== undefined && { replaces: replace }) }, joinMasterAnswerSchema)
      .catch(error => {
        throw error instanceof JoinError && !error.retriable
          ? Object.assign(error, { exitCode: EXIT_DO_NOT_RESTART })
          : error;
      });
    return this.#answer;
  }

  async discover(): Promise<Membership> {
    return (await this.ask()).membership;
  }
}

/** Asks one master after the other, again and again within bounds; a refusal that would stay ends it at once. */
async function retryJoin<T>(
  servers: readonly string[],
  { delay, signal }: Pick<SetupTools, 'delay' | 'signal'>,
  action: (server: string) => Promise<T>,
): Promise<T> {
  let delayMs = RETRY_MS;
  for (let attempt = 1; ; attempt++) {
    for (const server of servers) {
      try {
        return await action(server);
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

/** What a snapshot has to carry so that a restored cluster is trusted by the same clients and nodes: by path in the data directory. */
export function attachmentsOf({
  secrets,
  settings,
}: Pick<MasterSetup, 'secrets' | 'settings'>): Record<string, string> {
  return {
    'pki/service-account.key': secrets.serviceAccountKey,
    'pki/peer-ca.key': secrets.peerAuthority.key,
    'pki/peer-ca.crt': secrets.peerAuthority.certificate,
    'pki/ca.key': secrets.authority.key,
    // The last one, because its presence means that all is there; see `pki/files.ts`.
    'pki/ca.crt': secrets.authority.certificate,
    'settings.json': `${JSON.stringify(settings, undefined, 2)}\n`,
  };
}
