/**
 * Calls from the API server to other servers: admission webhooks, conversion webhooks, aggregated API servers. Start here:
 * `target.ts` says whom, `service-route.ts` how a service is reached, `connections.ts` how connections are kept,
 * `review.ts` how a webhook's answer is read.
 */
import { type ClientRequest, request as httpRequest, type IncomingMessage, type OutgoingHttpHeaders } from 'node:http';
import type { AgentCredentials } from '../subresources/agent.ts';
import type { Reach } from '../subresources/reach.ts';
import { CalloutAgent, type CalloutRequestArgs, type ClientCredentials, type Trust } from './connections.ts';
import { callFailed, DEADLINE_EXCEEDED } from './errors.ts';
import { type CalloutLimits, DEFAULT_CALLOUT_LIMITS } from './limits.ts';
import { ServiceRoutes } from './service-route.ts';
import { type CalloutTarget, destinationOf } from './target.ts';

export interface CalloutOptions {
  readonly core: Reach;
  /** With which agents are dialled; without it only what can be dialled directly is reached. */
  readonly agents: AgentCredentials | undefined;
  readonly limits?: Partial<CalloutLimits>;
}

export interface CalloutRequest {
  readonly method: string;
  /** Path and query; the target's own path if not said. */
  readonly path?: string;
  readonly headers?: OutgoingHttpHeaders;
  readonly body?: string | Uint8Array;
  /** From now to the answer's last byte. */
  readonly timeoutMs: number;
  /** Ends the call early. */
  readonly signal?: AbortSignal;
  /** Shown to the server, if it asks. */
  readonly credentials?: ClientCredentials;
}

export interface CalloutAnswer {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly body: Buffer;
}

export interface Callout {
  /** One request and its whole answer, whatever its status. Rejects with a {@link CalloutError}. */
  call(target: CalloutTarget, request: CalloutRequest): Promise<CalloutAnswer>;
  /**
   * Begins a request whose bodies are streams; the caller deals with all of its events. Ends with the signal. What is
   * told by its `error` event reads well through `whyFailed`.
   */
  begin(target: CalloutTarget, request: Omit<CalloutRequest, 'timeoutMs' | 'body'>): ClientRequest;
  /** The URL by which errors name the target. */
  urlOf(target: CalloutTarget): string;
  /** Closes what is kept open. */
  close(): void;
}

export function createCallout({ core, agents, limits: given }: CalloutOptions): Callout {
  const limits = { ...DEFAULT_CALLOUT_LIMITS, ...given };
  const routes = new ServiceRoutes({ core, credentials: agents, limits });
  const agent = new CalloutAgent({ core, routes, limits });
  const trusts = new TrustCache();

  const begin: Callout['begin'] = (target, { method, path, headers, signal, credentials }) => {
    const destination = destinationOf(target);
    const args: CalloutRequestArgs = {
      agent,
      method,
      path: path ?? destination.path,
      headers: { host: destination.host, ...headers },
      setHost: false,
      maxHeaderSize: limits.answerHeadBytesMax,
      ...(signal && { signal }),
      destination,
      trust: trusts.of(target, credentials),
      dialSignal: signal ?? NEVER,
    };
    return httpRequest(args);
  };

  const once = (target: CalloutTarget, request: CalloutRequest, signal: AbortSignal) =>
    new Promise<CalloutAnswer>((resolve, reject) => {
      const { body = '', headers } = request;
      const length = typeof body === 'string' ? Buffer.byteLength(body) : body.byteLength;
      const outgoing = begin(target, {
        ...request,
        headers: { 'accept-encoding': 'identity', ...headers, ...(length > 0 && { 'content-length': length }) },
        signal,
      });
      const fail = (error: Error) => {
        reject(signal.aborted ? signal.reason : Object.assign(error, { isStale: outgoing.reusedSocket }));
      };
      outgoing.once('error', fail);
      outgoing.once('response', answer => {
        outgoing.off('error', fail);
        outgoing.on('error', () => undefined);
        readAnswer(answer, limits.answerBytesMax).then(resolve, error =>
          reject(signal.aborted ? signal.reason : error),
        );
      });
      outgoing.end(body);
    });

  return {
    begin,
    urlOf: target => destinationOf(target).url,
    close: () => agent.destroy(),
    async call(target, request) {
      const given = request.signal;
      const url = withTimeout(destinationOf(target).url, request);
      const late = new AbortController();
      const cancel = core.clock.setTimeout(() => late.abort(new Error(DEADLINE_EXCEEDED)), request.timeoutMs);
      const signal = given ? AbortSignal.any([given, late.signal]) : late.signal;
      try {
        try {
          return await once(target, request, signal);
        } catch (error) {
          // The server closed a kept connection as we began to use it: that says nothing of the server.
          if (signal.aborted || !isStale(error)) throw error;
          return await once(target, request, signal);
        }
      } catch (error) {
        throw callFailed(request.method, url, error);
      } finally {
        cancel();
      }
    },
  };
}

const NEVER = new AbortController().signal;

/** Errors show the query that was sent. */
function withTimeout(url: string, { path }: CalloutRequest): string {
  const query = path === undefined ? -1 : path.indexOf('?');
  return query < 0 ? url : `${url.split('?')[0]}${path?.slice(query)}`;
}

function isStale(error: unknown): boolean {
  const { code, isStale: wasKept } = error as NodeJS.ErrnoException & { isStale?: boolean };
  return wasKept === true && (code === 'ECONNRESET' || code === 'EPIPE');
}

async function readAnswer(answer: IncomingMessage, bytesMax: number): Promise<CalloutAnswer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    size += chunk.byteLength;
    if (size > bytesMax) {
      answer.destroy();
      throw new Error(`the answer is longer than ${bytesMax} bytes`);
    }
    chunks.push(chunk);
  }
  return { status: answer.statusCode ?? 0, headers: answer.headers, body: Buffer.concat(chunks) };
}

/** One Trust object for equal trust, so that its digest is worked out once. */
class TrustCache {
  readonly #byTarget = new WeakMap<CalloutTarget, { trust: Trust; credentials: ClientCredentials | undefined }>();

  of(target: CalloutTarget, credentials: ClientCredentials | undefined): Trust {
    const known = this.#byTarget.get(target);
    if (known?.credentials === credentials && known) return known.trust;
    const { caBundle, insecureSkipTLSVerify } = target;
    const trust: Trust = { caBundle, insecureSkipTLSVerify, credentials };
    this.#byTarget.set(target, { trust, credentials });
    return trust;
  }
}
