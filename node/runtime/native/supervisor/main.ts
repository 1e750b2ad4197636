/** Starts the supervisor of one node: `main.ts DATA-DIR`. Its input and output lead nowhere; it ends when told to leave. */
import { randomUUID } from 'node:crypto';
import { Layout } from '../layout.ts';
import { createSupervisorClock } from './clock.ts';
import { Supervisor } from './supervisor.ts';

const [dataDir] = process.argv.slice(2);
if (dataDir === undefined) throw new Error('usage: main.ts DATA-DIR');
// The agent ends us by word; a Ctrl-C that reaches the whole terminal must not end containers.
for (const signal of ['SIGINT', 'SIGHUP', 'SIGTERM'] as const) process.on(signal, () => undefined);
const { left } = await Supervisor.run(new Layout(dataDir), createSupervisorClock(), randomUUID());
await left;
process.exit(0);
