/** Ports for tests in which a server comes back at its place. */
import { createServer } from 'node:net';

/** Below what the system gives out by itself, so that nobody who asks it for any port gets one of these in between. */
const PORTS_FROM = 10_000;
/** Test files run side by side, each as a process with a window of its own, as far as there are windows. */
const WINDOW_PORTS = 100;
const WINDOWS = 99;
let nextPort = 0;

/** A port that nobody listens on, and that this file's tests have not been given before. */
export async function freePort(): Promise<number> {
  const window = process.pid % WINDOWS;
  for (let tries = 0; tries < WINDOW_PORTS; tries++) {
    const port = PORTS_FROM + window * WINDOW_PORTS + (nextPort++ % WINDOW_PORTS);
    if (await isFree(port)) return port;
  }
  throw new Error('there is no free port in the window of this file');
}

/** So many of them. */
export async function freePorts(count: number): Promise<number[]> {
  const ports: number[] = [];
  while (ports.length < count) ports.push(await freePort());
  return ports;
}

/** So many ports in a row, of which {@link freePort} gives the first; `count` is far below a window. */
export async function freePortsInARow(count: number): Promise<number> {
  for (;;) {
    const first = await freePort();
    let next = first;
    while (next < first + count - 1 && (await freePort()) === next + 1) next++;
    if (next === first + count - 1) return first;
  }
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, '127.0.0.1', resolve);
    });
  } catch {
    return false;
  }
  await new Promise(resolve => server.close(resolve));
  return true;
}
