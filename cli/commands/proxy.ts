/** `raftsman proxy`: the API without TLS and without a login, for programs on this machine. */
import { rmSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Command } from 'commander';
import { failure } from '../client/errors.ts';
import type { Connection } from '../client/kubeconfig.ts';
import { type Session, withSession } from '../client/session.ts';
import type { CommandContext } from '../context.ts';
import { ClusterCommand, durationMs, integer, withGlobalFlags } from './cluster-command.ts';
import { notFound, serveFile } from './static-files.ts';

interface Flags {
  readonly port: number;
  readonly address: string;
  readonly unixSocket?: string;
  readonly apiPrefix: string;
  readonly www?: string;
  readonly wwwPrefix: string;
  readonly acceptHosts: string;
  readonly acceptPaths: string;
  readonly rejectPaths: string;
  readonly rejectMethods: string;
  readonly appendServerPath?: boolean;
  readonly disableFilter?: boolean;
  readonly keepalive: number;
}

const DEFAULT_PORT = 8001;

export function register(program: Command, context: CommandContext): void {
  const command = new ClusterCommand('proxy')
    .argument('[words...]')
    .usage('[--port=PORT] [--www=DIRECTORY] [flags]')
    .summary('serve the API on this machine')
    .description('Serves the API of the cluster on this machine, without TLS and as the user of the kubeconfig.')
    .option('-p, --port <port>', 'the port to listen on; 0 for any', integer, DEFAULT_PORT)
    .option('--address <address>', 'the address to listen on', '127.0.0.1')
    .option('-u, --unix-socket <path>', 'a Unix socket to listen on in place of a port')
    .option('--api-prefix <prefix>', 'the path under which the API is', '/')
    .option('-w, --www <folder>', 'a folder of files to serve as well')
    .option('-P, --www-prefix <prefix>', 'the path under which they are', '/static/')
    .option('--accept-hosts <pattern>', 'hosts to answer to', '^localhost$,^127\\.0\\.0\\.1$,^\\[::1\\]$')
    .option('--accept-paths <pattern>', 'paths to answer', '^.*')
    .option('--reject-paths <pattern>', 'paths to refuse', '^/api/.*/pods/.*/exec,^/api/.*/pods/.*/attach')
    .option('--reject-methods <pattern>', 'methods to refuse', '^$')
    .option('--append-server-path', 'put the path of the server’s address before that of each request')
    .option('--disable-filter', 'refuse nothing; dangerous')
    .option(
      '--keepalive <duration>',
      'how often a quiet connection to the server is tried; 0: as the system has it',
      durationMs,
      0,
    )
    .addHelpText('after', '\nExamples:\n  raftsman proxy --port=8011\n  curl http://127.0.0.1:8011/api/v1/pods')
    .action(withSession<Flags>(context, proxy));
  program.addCommand(withGlobalFlags(command));
}

async function proxy(session: Session, words: readonly string[], flags: Flags): Promise<void> {
  if (words.length > 0) throw failure(`unexpected args: [${words.join(' ')}]`);
  const forward = forwarder(session.connection, flags);
  const isAllowed = filter(flags);
  const server = http.createServer((request, response) => {
    const path = request.url ?? '/';
    if (flags.www !== undefined && path.startsWith(flags.wwwPrefix)) {
      serveFile(flags.www, path.slice(flags.wwwPrefix.length), response);
      return;
    }
    if (isAllowed(request) && !path.startsWith(flags.apiPrefix)) {
      notFound(response);
      return;
    }
    if (!isAllowed(request)) {
      response.writeHead(403, { 'content-type': 'text/plain; charset=utf-8' }).end('Forbidden\n');
      return;
    }
    forward.request(request, apiPath(path, flags), response);
  });
  server.on('upgrade', (request, socket, head) => {
    if (isAllowed(request)) forward.upgrade(request, apiPath(request.url ?? '/', flags), { socket, head });
    else socket.end('HTTP/1.1 403 Forbidden\r\n\r\n');
  });
  await listen(session, server, flags);
}

const apiPath = (path: string, { apiPrefix }: Flags): string => path.slice(apiPrefix.replace(/\/$/, '').length);

async function listen(session: Session, server: http.Server, flags: Flags): Promise<void> {
  const { promise: ended, resolve: end, reject } = Promise.withResolvers<void>();
  server.once('error', error => reject(failure(error.message, error)));
  const onListening = () => {
    const address = server.address();
    const text = typeof address === 'string' ? address : `${bracketed(address)}:${address?.port}`;
    session.print(`Starting to serve on ${text}`);
  };
  if (flags.unixSocket === undefined) server.listen(flags.port, flags.address, onListening);
  else {
    // One that a proxy before has left behind.
    rmSync(flags.unixSocket, { force: true });
    server.listen(flags.unixSocket, onListening);
  }
  const forget = session.context.onSignal(['SIGINT', 'SIGTERM'], () => end());
  try {
    await ended;
  } finally {
    forget();
    server.closeAllConnections();
    server.close();
  }
}

const bracketed = (address: AddressInfo | null) =>
  address?.family === 'IPv6' ? `[${address.address}]` : (address?.address ?? '');

/** Whether a request may pass: hosts, paths and methods by patterns. */
function filter(flags: Flags): (request: http.IncomingMessage) => boolean {
  if (flags.disableFilter) return () => true;
  const patterns = (text: string) =>
    text
      .split(',')
      .filter(part => part !== '')
      .map(part => new RegExp(part));
  const [hosts, accepted, rejected, methods] = [
    patterns(flags.acceptHosts),
    patterns(flags.acceptPaths),
    patterns(flags.rejectPaths),
    patterns(flags.rejectMethods),
  ];
  return request => {
    const host = (request.headers.host ?? '').replace(/:\d+$/, '');
    const path = (request.url ?? '/').split('?')[0] ?? '/';
    const matches = (list: readonly RegExp[], text: string) => list.some(pattern => pattern.test(text));
    return (
      matches(hosts, host) &&
      matches(accepted, path) &&
      !matches(rejected, path) &&
      !matches(methods, request.method ?? '')
    );
  };
}

/** Names of headers as Go's proxy writes them: `Content-Type`. */
const canonical = (headers: http.IncomingHttpHeaders): http.OutgoingHttpHeaders =>
  Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name.replaceAll(/(^|-)[a-z]/g, text => text.toUpperCase()), value]),
  );

/** Sends requests on with the credentials of the kubeconfig, and answers back as they come. */
function forwarder({ server, tls, token, headers: extra }: Connection, { appendServerPath, keepalive }: Flags) {
  const base = new URL(server);
  const before = appendServerPath ? base.pathname.replace(/\/$/, '') : '';
  const isPlain = base.protocol === 'http:';
  const agent = new (isPlain ? http : https).Agent({
    keepAlive: true,
    ...(keepalive > 0 && { keepAliveMsecs: keepalive }),
  });
  const start = (incoming: http.IncomingMessage, path: string, hops: Record<string, string>) => {
    const { host: _host, connection: _hop, ...headers } = incoming.headers;
    return (isPlain ? http : https).request({
      agent,
      host: base.hostname.replace(/^\[|\]$/g, ''),
      port: base.port || (isPlain ? 80 : 443),
      method: incoming.method,
      path: before + path,
      headers: { ...headers, ...extra, ...(token && { authorization: `Bearer ${token}` }), ...hops },
      ...(tls.ca && { ca: tls.ca }),
      ...(tls.cert && { cert: tls.cert }),
      ...(tls.key && { key: tls.key }),
      ...(tls.serverName && { servername: tls.serverName }),
      rejectUnauthorized: !tls.insecure,
    });
  };
  return {
    request(incoming: http.IncomingMessage, path: string, response: http.ServerResponse): void {
      const outgoing = start(incoming, path, {});
      outgoing.on('response', answer => {
        response.writeHead(answer.statusCode ?? 502, canonical(answer.headers));
        answer.pipe(response);
        answer.on('error', () => response.destroy());
      });
      outgoing.on('error', error => {
        if (response.headersSent) response.destroy();
        else response.writeHead(502, { 'content-type': 'text/plain' }).end(`${error.message}\n`);
      });
      response.on('close', () => outgoing.destroy());
      incoming.pipe(outgoing);
    },
    upgrade(incoming: http.IncomingMessage, path: string, client: { socket: Duplex; head: Buffer }): void {
      const outgoing = start(incoming, path, { connection: 'Upgrade' });
      outgoing.on('upgrade', (answer, socket, head) => {
        const lines = Object.entries(answer.headers).map(([name, value]) => `${name}: ${String(value)}`);
        client.socket.write(`HTTP/1.1 101 Switching Protocols\r\n${lines.join('\r\n')}\r\n\r\n`);
        if (head.length > 0) client.socket.write(head);
        if (client.head.length > 0) socket.write(client.head);
        socket.pipe(client.socket).pipe(socket);
        socket.on('error', () => client.socket.destroy());
        client.socket.on('error', () => socket.destroy());
      });
      outgoing.on('response', answer => {
        client.socket.write(`HTTP/1.1 ${answer.statusCode} ${answer.statusMessage}\r\nconnection: close\r\n\r\n`);
        answer.pipe(client.socket);
      });
      outgoing.on('error', () => client.socket.destroy());
      outgoing.end();
    },
  };
}
