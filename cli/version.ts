/** What this is. */
import { createRequire } from 'node:module';

/** The package's own version, from its package.json: two folders up when built, one when run from source. */
export const productVersion: string = readVersion();

function readVersion(): string {
  const require = createRequire(import.meta.url);
  for (const path of ['../package.json', '../../package.json']) {
    try {
      const { name, version } = require(path) as { name?: string; version?: string };
      if (name === 'raftsman' && version) return version;
    } catch {
      // Not here: the other one.
    }
  }
  return '0.0.0';
}
