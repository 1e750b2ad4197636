#!/usr/bin/env node
/** The way in: lets Node keep compiled code between runs, which halves the time to start, then runs the program. */
import module from 'node:module';
import { homedir } from 'node:os';
import { join } from 'node:path';

/** As in package.json. */
const NODE_MAJOR_MIN = 24;

if (Number.parseInt(process.versions.node, 10) < NODE_MAJOR_MIN) {
  process.stderr.write(`error: raftsman needs Node ${NODE_MAJOR_MIN} or later, and this is ${process.version}\n`);
  process.exit(1);
}
module.enableCompileCache(join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'raftsman'));
await import('./program.ts');
