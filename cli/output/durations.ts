/** Durations as Go writes them. */

const UNITS_MS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};

/** A duration as Go writes it, `1m30s`, in milliseconds; undefined for what is none. */
export function parseDurationMs(text: string): number | undefined {
  const [, sign, rest = ''] = /^([-+]?)(.*)$/s.exec(text) ?? [];
  if (rest === '0') return 0;
  const parts = [...rest.matchAll(/(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)/g)];
  if (parts.length === 0 || parts.map(part => part[0]).join('') !== rest) return undefined;
  const sum = parts.reduce((total, [, number, unit]) => total + Number(number) * (UNITS_MS[unit ?? ''] ?? 0), 0);
  return sign === '-' ? -sum : sum;
}
