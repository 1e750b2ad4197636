/** Certificates for tests, made by openssl once a process. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface TestTls {
  readonly ca: string;
  readonly server: { readonly cert: string; readonly key: string; readonly clientCa: string };
  /** As the API server would show. */
  readonly apiServer: { readonly cert: string; readonly key: string };
  /** Of the same CA, but nobody whom the agent lets in. */
  readonly stranger: { readonly cert: string; readonly key: string };
}

let made: TestTls | undefined;

export function makeTestTls(): TestTls {
  made ??= make();
  return made;
}

function make(): TestTls {
  const folder = mkdtempSync(join(tmpdir(), 'raftsman-tls-'));
  const at = (name: string) => join(folder, name);
  const openssl = (...args: string[]) => execFileSync('openssl', args, { stdio: ['ignore', 'ignore', 'pipe'] });
  const read = (name: string) => readFileSync(at(name), 'utf8');
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  try {
    openssl(
      'req',
      '-x509',
      ...curve,
      '-keyout',
      at('ca.key'),
      '-out',
      at('ca.crt'),
      '-subj',
      '/CN=test-ca',
      '-days',
      '2',
    );
    const issue = (name: string, subject: string) => {
      openssl('req', ...curve, '-keyout', at(`${name}.key`), '-out', at(`${name}.csr`), '-subj', subject);
      writeFileSync(at('ext'), 'subjectAltName=IP:127.0.0.1,DNS:localhost\n');
      openssl(
        'x509',
        '-req',
        '-in',
        at(`${name}.csr`),
        '-CA',
        at('ca.crt'),
        '-CAkey',
        at('ca.key'),
        '-CAcreateserial',
        '-days',
        '2',
        '-extfile',
        at('ext'),
        '-out',
        at(`${name}.crt`),
      );
      return { cert: read(`${name}.crt`), key: read(`${name}.key`) };
    };
    const server = issue('server', '/O=system:nodes/CN=system:node:node-1');
    return {
      ca: read('ca.crt'),
      server: { ...server, clientCa: read('ca.crt') },
      apiServer: issue('client', '/CN=kube-apiserver-kubelet-client'),
      stranger: issue('stranger', '/O=somebody/CN=mallory'),
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
