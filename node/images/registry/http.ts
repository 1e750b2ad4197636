/** Requests to registries over HTTP and HTTPS: one answer with its body as a stream; an idle connection breaks. */
import { readFile } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { request as requestHttps } from 'node:https';
import { http } from '../../api.ts';
import { RegistryError } from '../errors.ts';
import { answerBytesMax, idleTimeoutMs, redirectsMax } from '../limits.ts';
import type { EndpointSettings } from './config.ts';

export interface HttpRequest {
  readonly url: URL;
  readonly method?: 'GET' | 'HEAD' | 'POST';
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly signal: AbortSignal;
}
export type Http = (request: HttpRequest) => Promise<IncomingMessage>;

/** What TLS is spoken with. */
export type TlsFiles = EndpointSettings['tls'];

/** Throws what the system says if a file is not there. */
export async function createHttp(tls: TlsFiles): Promise<Http> {
  const read = (file: string | undefined) => (file === undefined ? undefined : readFile(file));
  const [ca, cert, key] = await Promise.all([read(tls.caFile), read(tls.certFile), read(tls.keyFile)]);
  const secure = { ...(ca && { ca }), ...(cert && { cert }), ...(key && { key }) };
  const options = { ...secure, rejectUnauthorized: !tls.insecureSkipVerify };
  const once = ({ url, method = 'GET', headers = {}, body, signal }: HttpRequest) =>
    new Promise<IncomingMessage>((resolve, reject) => {
      const common = { method, headers: { 'user-agent': 'raftsman', ...headers }, signal };
      const request =
        url.protocol === 'http:' ? http.request(url, common) : requestHttps(url, { ...common, ...options });
      request.setTimeout(idleTimeoutMs, () => request.destroy(new Error(`nothing came for ${idleTimeoutMs} ms`)));
      request.once('response', resolve);
      // Later errors reach whoever reads the body.
      request.on('error', reject);
      request.end(body);
    });
  return async request => {
    let { url, headers } = { headers: {}, ...request };
    for (let redirects = 0; redirects <= redirectsMax; redirects += 1) {
      const response = await once({ ...request, url, headers });
      const { statusCode = 0 } = response;
      const { location } = response.headers;
      if (![301, 302, 303, 307, 308].includes(statusCode) || location === undefined) return response;
      response.resume();
      const next = new URL(location, url);
      if (url.protocol === 'https:' && next.protocol === 'http:' && !tls.insecureSkipVerify) {
        throw new RegistryError(`${url.host} leads from https to http, which is refused`);
      }
      // Keys are for the one that asked for them.
      if (next.host !== url.host) headers = withoutKeys(headers);
      url = next;
    }
    throw new RegistryError(`${request.url.host} redirects more than ${redirectsMax} times`);
  };
}

/** The body, bounded. */
export async function bodyOf(response: IncomingMessage, bytesMax = answerBytesMax): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > bytesMax) throw new RegistryError(`an answer has more than ${bytesMax} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function withoutKeys(headers: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => name.toLowerCase() !== 'authorization'));
}
