/** Just enough of an API server for kubectl's exec, attach, port-forward and logs: it passes them to an agent's server. */
import { createServer, type Server } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { AddressInfo } from 'node:net';
import { connect } from 'node:tls';
import type { Pod } from '../api.ts';
import type { TestTls } from './tls.ts';

export class PassThroughApi {
  readonly #server: Server;

  constructor({ pod, agentPort, tls }: { pod: Pod; agentPort: number; tls: TestTls }) {
    const credentials = { ...tls.apiServer, ca: tls.ca };
    const verbs = ['get', 'list', 'create'];
    const resources = ['pods', 'pods/exec', 'pods/attach', 'pods/log', 'pods/portforward'].map(name => ({
      name,
      kind: 'Pod',
      namespaced: true,
      verbs,
    }));
    const documents: Record<string, object> = {
      '/api': { kind: 'APIVersions', versions: ['v1'] },
      '/apis': { kind: 'APIGroupList', apiVersion: 'v1', groups: [] },
      '/api/v1': { kind: 'APIResourceList', groupVersion: 'v1', resources },
      '/api/v1/namespaces/default/pods/web': pod,
    };
    this.#server = createServer((request, response) => {
      const { pathname, search } = new URL(request.url ?? '/', 'http://api');
      const document = documents[pathname];
      if (document)
        return void response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(document));
      if (!pathname.endsWith('/log'))
        return void response.writeHead(404, { 'content-type': 'text/plain' }).end('404 page not found');
      const path = `/containerLogs/default/web/app${search}`;
      httpsRequest({ host: '127.0.0.1', port: agentPort, path, ...credentials }, answer => {
        response.writeHead(answer.statusCode ?? 500, answer.headers);
        answer.pipe(response);
      }).end();
    });
    this.#server.on('upgrade', (request, socket, head) => {
      const { pathname, search } = new URL(request.url ?? '/', 'http://api');
      const verb = pathname.split('/').at(-1);
      const path = verb === 'portforward' ? `/portForward/default/web${search}` : `/${verb}/default/web/app${search}`;
      const upstream = connect({ host: '127.0.0.1', port: agentPort, ...credentials }, () => {
        const lines = [`${request.method} ${path} HTTP/1.1`];
        for (let index = 0; index < request.rawHeaders.length; index += 2)
          lines.push(`${request.rawHeaders[index]}: ${request.rawHeaders[index + 1]}`);
        upstream.write(`${lines.join('\r\n')}\r\n\r\n`);
        upstream.write(head);
        socket.pipe(upstream).pipe(socket);
      });
      const end = () => {
        socket.destroy();
        upstream.destroy();
      };
      upstream.on('error', end).on('close', end);
      socket.on('error', end).on('close', end);
    });
  }

  async listen(): Promise<string> {
    await new Promise<void>(resolve => this.#server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise(resolve => this.#server.close(resolve));
  }
}
