/**
 * `/livez`, `/readyz`, `/healthz`: is the process alive, and can it serve. Liveness asks nothing of the store, so that a
 * lost quorum does not make supervisors restart healthy members; readiness does.
 */
import { pageNotFound, textReply } from './http/replies.ts';
import type { Exchange, Reply } from './types.ts';

export interface HealthCheck {
  readonly name: string;
  /** Throws or rejects with the reason while it does not hold. */
  check(): void | Promise<void>;
}

export interface HealthOptions {
  readonly live: readonly HealthCheck[];
  readonly ready: readonly HealthCheck[];
}

const ROOTS = new Set(['livez', 'readyz', 'healthz']);

/** Answers a health path; undefined for other paths. */
export async function answerHealth({ info, query }: Exchange, options: HealthOptions): Promise<Reply | undefined> {
  const [root = '', ...rest] = info.path.split('/').slice(1);
  if (!ROOTS.has(root)) return undefined;
  const name = rest.join('/');
  const all = root === 'livez' ? options.live : options.ready;
  if (name) {
    const one = all.find(check => check.name === name);
    if (!one) return pageNotFound();
    const reason = await reasonOf(one);
    return reason === undefined ? textReply(200, 'ok') : textReply(500, `internal server error: ${reason}\n`);
  }
  return report(root, { checks: all, excluded: new Set(query.getAll('exclude')), isVerbose: query.has('verbose') });
}

async function report(
  root: string,
  {
    checks,
    excluded,
    isVerbose,
  }: { readonly checks: readonly HealthCheck[]; readonly excluded: ReadonlySet<string>; readonly isVerbose: boolean },
): Promise<Reply> {
  const lines: string[] = [];
  let isFailed = false;
  // All at once: who asks has a deadline of its own, and several that wait for the same quorum fail together.
  const reasons = await Promise.all(checks.map(check => (excluded.has(check.name) ? undefined : reasonOf(check))));
  for (const [position, check] of checks.entries()) {
    if (excluded.has(check.name)) {
      lines.push(`[+]${check.name} excluded: ok`);
      continue;
    }
    const reason = reasons[position];
    if (reason !== undefined) isFailed = true;
    lines.push(reason === undefined ? `[+]${check.name} ok` : `[-]${check.name} failed: ${reason}`);
  }
  if (isFailed) return textReply(500, `${lines.join('\n')}\n${root} check failed\n`);
  return textReply(200, isVerbose ? `${lines.join('\n')}\n${root} check passed\n` : 'ok');
}

async function reasonOf({ check }: HealthCheck): Promise<string | undefined> {
  try {
    await check();
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
