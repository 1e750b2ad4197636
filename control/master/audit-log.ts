/** Opens the audit log that the flags describe: its policy, and the file that it goes to. */
import { readFile } from 'node:fs/promises';
import { LogFile } from '../apiserver/audit/log-file.ts';
import { AuditPolicyError, readAuditPolicy } from '../apiserver/audit/policy.ts';
import type { Logger } from '../apiserver/types.ts';
import type { Clock } from '../client/clock.ts';
import type { AuditFlags } from './options.ts';

const DAY_MS = 86_400_000;
const MEBIBYTE = 1024 * 1024;

export interface AuditParts {
  readonly flags: AuditFlags;
  readonly clock: Clock;
  readonly logger: Pick<Logger, 'error'>;
  /** Where a line goes if the path is `-`. */
  readonly toStandardOutput: (line: string) => void;
  /** What has to be closed at the end. */
  readonly closers: (() => Promise<void>)[];
}

/** The audit log, if there is to be one. @throws {AuditPolicyError} */
export async function openAudit({ flags, clock, logger, toStandardOutput, closers }: AuditParts) {
  const { policyFile, logPath, ageDaysMax, backupsMax, sizeMebibytesMax } = flags;
  if (policyFile === undefined || logPath === undefined) return {};
  const policy = await readPolicy(policyFile);
  if (logPath === '-') return { auditLog: { policy, write: toStandardOutput } };
  const log = new LogFile({
    path: logPath,
    sizeBytesMax: sizeMebibytesMax * MEBIBYTE,
    backupsMax,
    ageMsMax: ageDaysMax * DAY_MS,
    now: () => clock.now(),
    onError: error => logger.error({ err: error, path: logPath }, 'the audit log could not be written'),
  });
  closers.push(() => log.close());
  return { auditLog: { policy, write: (line: string) => log.write(line) } };
}

async function readPolicy(file: string) {
  try {
    return readAuditPolicy(await readFile(file, 'utf8'));
  } catch (error) {
    throw new AuditPolicyError(
      `--audit-policy-file: ${file}: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
}
