/**
 * For tests: one process in a pod's network namespace that serves TCP and UDP on ports 80 and 81 and dials others, as it is
 * told on its standard input.
 */
import { createInterface } from 'node:readline';
import type { Namespace } from '../network/test-namespaces.ts';

/** What a dial came to: the answer's first word, the error's code, or TIMEOUT. */
export type Outcome = string;

const script = `
const net = require('node:net'), dgram = require('node:dgram');
const [name, family] = process.argv.slice(1);
const [any, kind] = family === '6' ? ['::', 'udp6'] : ['0.0.0.0', 'udp4'];
const plain = address => address.replace('::ffff:', '');
const held = new Map();
let ready = 0;
const up = () => { if (++ready === 4) console.log('ready'); };
for (const port of [80, 81]) {
  net.createServer(s => { s.on('error', () => {}); s.on('data', d => s.write(name + ' ' + plain(s.remoteAddress) + ' ' + d)); }).listen(port, any, up);
  const u = dgram.createSocket(kind);
  u.on('message', (m, r) => u.send(name + ' ' + plain(r.address) + ' ' + m, r.port, r.address));
  u.bind(port, any, up);
}
const tcp = ({ host, port, timeoutMs, hold }) => new Promise(done => {
  const s = held.get(hold) ?? net.connect({ host, port });
  const fresh = !held.has(hold);
  const end = text => { clearTimeout(timer); s.removeAllListeners('data'); if (hold && text !== 'TIMEOUT') held.set(hold, s); else s.destroy(); done(text); };
  const timer = setTimeout(() => end('TIMEOUT'), timeoutMs);
  s.on('data', d => end(String(d)));
  if (fresh) s.on('error', e => { clearTimeout(timer); done(e.code); });
  s.write('hello');
});
const udp = ({ host, port, timeoutMs }) => new Promise(done => {
  const u = dgram.createSocket(host.includes(':') ? 'udp6' : 'udp4');
  const end = text => { clearTimeout(timer); clearInterval(again); u.close(); done(text); };
  const timer = setTimeout(() => end('TIMEOUT'), timeoutMs);
  let again;
  u.on('message', m => end(String(m))).on('error', e => end(e.code));
  u.connect(port, host, e => { if (e) return end(e.code); u.send('hello'); again = setInterval(() => u.send('hello'), 200); });
});
const big = ({ host, port, timeoutMs, bytes }) => new Promise(done => {
  let got = 0;
  const s = net.connect({ host, port });
  const end = text => { clearTimeout(timer); s.destroy(); done(text); };
  const timer = setTimeout(() => end('TIMEOUT after ' + got), timeoutMs);
  s.on('data', d => { got += d.length; if (got >= bytes) end('all'); }).on('error', e => end(e.code));
  s.write(Buffer.alloc(bytes, 'x'));
});
require('node:readline').createInterface({ input: process.stdin }).on('line', async line => {
  const order = JSON.parse(line);
  const result = await (order.bytes ? big : order.protocol === 'UDP' ? udp : tcp)(order);
  console.log(JSON.stringify({ id: order.id, result }));
});`;

export interface Dial {
  readonly host: string;
  readonly port?: number;
  readonly protocol?: 'TCP' | 'UDP';
  readonly timeoutMs?: number;
  /** Keeps the connection under this name, and uses it again. */
  readonly hold?: string;
  /** Sends so many bytes and waits for as many. */
  readonly bytes?: number;
}

export class TestPod {
  readonly name: string;
  readonly #stdin: NodeJS.WritableStream;
  readonly #answers = new Map<number, (result: Outcome) => void>();
  #last = 0;

  private constructor(name: string, stdin: NodeJS.WritableStream) {
    this.name = name;
    this.#stdin = stdin;
  }

  /** Resolves when it serves: on IPv4, or on both families. */
  static async start(name: string, namespace: Pick<Namespace, 'spawn'>, family: 4 | 6 = 4): Promise<TestPod> {
    const child = namespace.spawn(process.execPath, ['-e', script, name, String(family)]);
    if (!child.stdin || !child.stdout) throw new Error('no pipes');
    const pod = new TestPod(name, child.stdin);
    const ready = Promise.withResolvers<void>();
    createInterface({ input: child.stdout }).on('line', line => {
      if (line === 'ready') return ready.resolve();
      const { id, result } = JSON.parse(line) as { id: number; result: Outcome };
      pod.#answers.get(id)?.(result);
      pod.#answers.delete(id);
    });
    child.once('exit', code => ready.reject(new Error(`the pod's process ended with ${code}`)));
    await ready.promise;
    return pod;
  }

  dial({ port = 80, protocol = 'TCP', timeoutMs = 5_000, ...rest }: Dial): Promise<Outcome> {
    this.#last += 1;
    const id = this.#last;
    const answer = Promise.withResolvers<Outcome>();
    this.#answers.set(id, answer.resolve);
    this.#stdin.write(`${JSON.stringify({ id, port, protocol, timeoutMs, ...rest })}\n`);
    return answer.promise;
  }
}
