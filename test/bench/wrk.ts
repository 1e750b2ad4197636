/** Load by `wrk`: HTTP/1.1 over TLS with a bearer token, from one thread of its own. */
import { onPath } from '../helpers/machine.ts';
import { mustRun } from '../helpers/run.ts';
import type { Figures } from './measure.ts';

/** The program, or undefined where it is not installed (Debian: `wrk`). */
export const findWrk = (): string | undefined => onPath('wrk');

export interface WrkLoad {
  readonly url: string;
  readonly token: string;
  readonly connections: number;
  readonly seconds: number;
  /** A Lua script that makes the requests; without it the URL is got. */
  readonly script?: string;
}

/** Runs it once. Throws if wrk fails; answers other than 2xx count as failures. */
export async function runWrk(wrk: string, { url, token, connections, seconds, script }: WrkLoad): Promise<Figures> {
  const output = await mustRun(
    wrk,
    [
      ...['--threads', '1', '--connections', String(connections), '--duration', `${seconds}s`],
      ...['--timeout', '30s', '--latency', '--header', `Authorization: Bearer ${token}`],
      ...(script === undefined ? [] : ['--script', script]),
      url,
    ],
    { timeoutMs: (seconds + 60) * 1000 },
  );
  const figure = (pattern: RegExp): string | undefined => pattern.exec(output)?.[1];
  return {
    operations: Number(figure(/(\d+) requests in/)),
    perSecond: Number(figure(/Requests\/sec:\s+([\d.]+)/)),
    p50Ms: milliseconds(figure(/^\s+50%\s+(\S+)/m)),
    p99Ms: milliseconds(figure(/^\s+99%\s+(\S+)/m)),
    maxMs: milliseconds(figure(/Latency\s+\S+\s+\S+\s+(\S+)/)),
    failures: Number(figure(/Non-2xx or 3xx responses: (\d+)/) ?? 0) + socketErrors(output),
  };
}

const UNITS: Readonly<Record<string, number>> = { us: 0.001, ms: 1, s: 1_000, m: 60_000 };

function milliseconds(text: string | undefined): number {
  const [, number, unit = ''] = /^([\d.]+)([a-z]+)$/.exec(text ?? '') ?? [];
  return Number(number) * (UNITS[unit] ?? Number.NaN);
}

function socketErrors(output: string): number {
  const counts = /Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)/.exec(output)?.slice(1) ?? [];
  return counts.reduce((sum, count) => sum + Number(count), 0);
}

/** A script that creates ConfigMaps of a kibibyte, each with a name of its own. */
export function creatingScript(path: string, token: string): string {
  return `
local made = 0
local run = string.format("%x", os.time()) .. string.format("%x", math.floor(os.clock() * 1e6))
local headers = { ["Authorization"] = "Bearer ${token}", ["Content-Type"] = "application/json" }
local text = string.rep("x", 1024)
function request()
  made = made + 1
  local body = '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"' .. run .. '-' .. made .. '"},"data":{"text":"' .. text .. '"}}'
  return wrk.format("POST", "${path}", headers, body)
end
`;
}
