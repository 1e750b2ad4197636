/** What this machine has to test with. */
import { execFileSync } from 'node:child_process';
import { accessSync, constants, readdirSync, realpathSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';

/** A kubectl to test with. */
export interface Kubectl {
  readonly path: string;
  /** Such as `1.33`. */
  readonly version: string;
}

/** Under npm a package's program may hide the system's own of the same name (`nft` is one): this leaves those out. */
export function systemEnvironment(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const path = (env.PATH ?? '').split(delimiter).filter(folder => !folder.endsWith(join('node_modules', '.bin')));
  return { ...env, PATH: path.join(delimiter) };
}

/** What a program prints; undefined if it fails or is not there. */
export function answer(command: string, args: readonly string[]): string | undefined {
  try {
    return execFileSync(command, args, {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
      timeout: 20_000,
      env: systemEnvironment(process.env),
    });
  } catch {
    return undefined;
  }
}
/** Where a program is on the PATH. */
export function onPath(name: string): string | undefined {
  for (const folder of (systemEnvironment(process.env).PATH ?? '').split(delimiter)) {
    const path = join(folder, name);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {}
  }
  return undefined;
}

/** Every kubectl at hand, oldest first, one a version: those in RAFTSMAN_KUBECTLS, on the PATH and beside that one. */
export function findKubectls(): readonly Kubectl[] {
  const candidates = (process.env.RAFTSMAN_KUBECTLS ?? '').split(delimiter).filter(Boolean);
  const first = onPath('kubectl');
  if (first) {
    const folder = dirname(realpathSync(first));
    candidates.push(
      ...readdirSync(folder)
        .filter(name => /^kubectl\.\d/.test(name))
        .map(name => join(folder, name)),
      first,
    );
  }
  const found = new Map<string, Kubectl>();
  for (const path of candidates) {
    const version = /GitVersion:\s*"?v(\d+\.\d+)|"gitVersion":\s*"v(\d+\.\d+)/.exec(
      answer(path, ['version', '--client', '-o', 'json']) ?? '',
    );
    const text = version?.[1] ?? version?.[2];
    if (text && !found.has(text)) found.set(text, { path, version: text });
  }
  return [...found.values()].sort((a, b) => Number(a.version.split('.')[1]) - Number(b.version.split('.')[1]));
}

/** The oldest, the newest and one between, as far as they are here. */
export function pickKubectls(): readonly Kubectl[] {
  const all = findKubectls();
  if (all.length <= 3) return all;
  const middle = all[Math.floor(all.length / 2)];
  return [all[0], middle, all.at(-1)].filter(kubectl => kubectl !== undefined);
}
