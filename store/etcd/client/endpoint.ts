/** One etcd server: its connection, and calls over it that tell "certainly not sent" from "answer lost". */
import { Client, type ClientDuplexStream, connectivityState, credentials, Metadata } from '@grpc/grpc-js';
import { InvalidRequestError, UnknownOutcomeError } from '../../client/client.ts';
import type { Clock } from '../../clock.ts';
import type { StatusResponse } from '../proto/maintenance.ts';
import type { Read } from '../proto/message.ts';
import { Maintenance, type Method } from '../proto/services.ts';
import { type CallKind, callError, unavailable } from './errors.ts';
import { KEEPALIVE_MS, KEEPALIVE_TIMEOUT_MS, PROBE_TIMEOUT_MS, RECONNECT_MS_MAX, RECONNECT_MS_MIN } from './limits.ts';

/** PEM texts. A client certificate is needed where etcd asks for one. */
export interface EtcdTls {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
}
export interface EndpointOptions {
  /** `http://host:port` or `https://host:port`. */
  readonly url: string;
  readonly tls?: EtcdTls;
  readonly clock: Clock;
}
export type EtcdStatus = Read<typeof StatusResponse>;

export class Endpoint {
  readonly url: string;
  readonly #client: Client;
  readonly #clock: Clock;

  /** @throws {InvalidRequestError} for a URL that is none */
  constructor({ url, tls = {}, clock }: EndpointOptions) {
    const { protocol, host } = parseUrl(url);
    this.url = url;
    this.#clock = clock;
    const secure = () => credentials.createSsl(pem(tls.ca), pem(tls.key), pem(tls.cert));
    this.#client = new Client(host, protocol === 'https:' ? secure() : credentials.createInsecure(), {
      'grpc.max_receive_message_length': -1,
      'grpc.max_send_message_length': -1,
      'grpc.keepalive_time_ms': KEEPALIVE_MS,
      'grpc.keepalive_timeout_ms': KEEPALIVE_TIMEOUT_MS,
      'grpc.initial_reconnect_backoff_ms': RECONNECT_MS_MIN,
      'grpc.max_reconnect_backoff_ms': RECONNECT_MS_MAX,
      // gRPC must repeat nothing by itself: it cannot know what may be done twice.
      'grpc.enable_retries': 0,
      'grpc.use_local_subchannel_pool': 1,
      'grpc.enable_http_proxy': 0,
    });
  }

  /** One request, one answer. A write is not even tried where there is no connection, so its outcome is then certain. */
  call<Req, Res>(
    method: Method<Req, unknown, never, Res>,
    request: Req,
    options: { readonly kind: CallKind; readonly timeoutMs: number; readonly anyMember?: boolean },
  ): Promise<Res> {
    const { kind, timeoutMs, anyMember = false } = options;
    if (kind === 'write' && !this.#isConnected()) {
      return Promise.reject(unavailable(`there is no connection to ${this.url}`));
    }
    const { promise, resolve, reject } = Promise.withResolvers<Res>();
    const call = this.#client.makeUnaryRequest<Req, Res>(
      method.path,
      value => method.request.encode(value),
      bytes => method.response.decode(bytes),
      request,
      anyMember ? new Metadata() : requireLeader(),
      (error, answer) => {
        cancel();
        if (error !== null) reject(callError(error, kind));
        else if (answer === undefined) reject(new UnknownOutcomeError(`${this.url} gave no answer`));
        else resolve(answer);
      },
    );
    const cancel = this.#clock.setTimeout(() => {
      const late = `${this.url} did not answer within ${timeoutMs / 1000} s`;
      reject(kind === 'read' ? unavailable(late) : new UnknownOutcomeError(late));
      call.cancel();
    }, timeoutMs);
    return promise;
  }

  /** A stream both ways. It ends when this server no longer hears of a leader. */
  stream<Req, Res>(method: Method<Req, unknown, never, Res>): ClientDuplexStream<Req, Res> {
    return this.#client.makeBidiStreamRequest<Req, Res>(
      method.path,
      value => method.request.encode(value),
      bytes => method.response.decode(bytes),
      requireLeader(),
    );
  }

  /** How this server is; it answers without its peers. */
  status(): Promise<EtcdStatus> {
    return this.call(Maintenance.status, {}, { kind: 'read', timeoutMs: PROBE_TIMEOUT_MS, anyMember: true });
  }

  close(): void {
    this.#client.close();
  }

  #isConnected(): boolean {
    return this.#client.getChannel().getConnectivityState(true) === connectivityState.READY;
  }
}

/** True for a server that can answer consistently: it knows a leader, is no learner, and its data are sound. */
export function isHealthy({ leader, isLearner, errors }: EtcdStatus): boolean {
  return leader !== 0n && !isLearner && !errors.some(error => error.includes('CORRUPT'));
}

/** etcd then refuses, rather than waits, where it has lost touch with its leader. */
function requireLeader(): Metadata {
  const metadata = new Metadata();
  metadata.set('hasleader', 'true');
  return metadata;
}

function parseUrl(text: string): URL {
  const url = URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol) || url.hostname === '' || url.pathname !== '/') {
    throw new InvalidRequestError(`an etcd endpoint looks like https://10.0.0.1:2379; this one is ${text}`);
  }
  return url;
}

function pem(text: string | undefined): Buffer | null {
  return text === undefined ? null : Buffer.from(text);
}
