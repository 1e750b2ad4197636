#!/usr/bin/env node
/** The way in: lets Node keep compiled code between runs, which halves the time to start, then runs the program. */
import { enableCompileCache } from 'node:module';
import { homedir } from 'node:os';
import { join } from 'node:path';

enableCompileCache(join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'raftsman'));
await import('./program.ts');
