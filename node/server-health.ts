/** `/healthz` as a kubelet answers it: all checks together, or one by its name. Pure. */

export interface HealthCheck {
  readonly name: string;
  /** What is wrong; undefined if nothing is. */
  readonly trouble: string | undefined;
}
export interface HealthAnswer {
  readonly status: number;
  readonly text: string;
}

/**
 * @param name of one check, or '' for all
 * @returns undefined if there is no such check
 */
export function healthAnswer(
  checks: readonly HealthCheck[],
  name: string,
  query: URLSearchParams,
): HealthAnswer | undefined {
  if (name !== '') {
    const check = checks.find(one => one.name === name);
    if (!check) return undefined;
    return check.trouble === undefined
      ? { status: 200, text: 'ok' }
      : { status: 500, text: `internal server error: ${check.trouble}\n` };
  }
  const excluded = new Set(query.getAll('exclude'));
  const isFailed = ({ name: own, trouble }: HealthCheck) => trouble !== undefined && !excluded.has(own);
  const lines = checks.map(check => {
    if (excluded.has(check.name)) return `[+]${check.name} excluded: ok\n`;
    return isFailed(check) ? `[-]${check.name} failed: reason withheld\n` : `[+]${check.name} ok\n`;
  });
  if (checks.some(isFailed)) return { status: 500, text: `${lines.join('')}healthz check failed\n` };
  return { status: 200, text: query.has('verbose') ? `${lines.join('')}healthz check passed\n` : 'ok' };
}

/** The agent's loop over what the runtime has began its last round so long ago that it hangs (a kubelet: five minutes). */
const LOOP_MS_MAX = 300_000;

/** @param enteredMs when the loop's last round began; undefined before the first */
export function loopTrouble(enteredMs: number | undefined, nowMs: number): string | undefined {
  if (enteredMs === undefined || nowMs - enteredMs <= LOOP_MS_MAX) return undefined;
  return 'sync Loop took longer than expected';
}
