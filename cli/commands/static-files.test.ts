import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { serveFile } from './static-files.ts';

test('files and folders are served, and what is not there or no path at all is told', async t => {
  const folder = mkdtempSync(join(tmpdir(), 'raftsman-www-'));
  mkdirSync(join(folder, 'sub'));
  writeFileSync(join(folder, 'a&b.txt'), 'hello\n');
  const server = http.createServer((request, response) => serveFile(folder, (request.url ?? '/').slice(1), response));
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
    rmSync(folder, { recursive: true, force: true });
  });
  const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const get = async (path: string) => {
    const answer = await fetch(base + path, { redirect: 'manual' });
    return [answer.status, answer.headers.get('content-type'), await answer.text()];
  };
  t.deepEqual(await get('/a%26b.txt?x=y'), [200, 'text/plain; charset=utf-8', 'hello\n']);
  const missing = [404, 'text/plain; charset=utf-8', '404 page not found\n'];
  for (const path of ['/nothere', '/%', '/..%2f..%2fetc%2fpasswd', '/%00']) t.deepEqual(await get(path), missing, path);
  const [status, type, listing] = await get('/');
  t.deepEqual([status, type], [200, 'text/html; charset=utf-8']);
  t.true(String(listing).includes('<a href="a&b.txt">a&amp;b.txt</a>\n<a href="sub/">sub/</a>\n'));
  t.is((await get('/sub'))[0], 301);
});
