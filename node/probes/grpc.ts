/**
 * The gRPC health check (grpc.health.v1.Health/Check) over Node's HTTP/2. The two messages are so small that they are
 * encoded here by hand: the request is one string field, the answer one enum field.
 */
import { connect } from 'node:http2';

const SERVING = 1;

/** Resolves with a description if the server is not healthy, with undefined if it is. Never rejects. */
export function checkGrpc(at: {
  host: string;
  port: number;
  service: string;
  signal: AbortSignal;
}): Promise<string | undefined> {
  const { host, port, service, signal } = at;
  const authority = `http://${host.includes(':') ? `[${host}]` : host}:${port}`;
  return new Promise(resolve => {
    const session = connect(authority);
    const finish = (trouble: string | undefined) => {
      signal.removeEventListener('abort', onAbort);
      session.destroy();
      resolve(trouble);
    };
    const onAbort = () => finish("timeout: health rpc did not complete within the probe's time");
    signal.addEventListener('abort', onAbort, { once: true });
    session.on('error', error => finish(`error: ${error.message}`));
    const stream = session.request({
      ':method': 'POST',
      ':path': '/grpc.health.v1.Health/Check',
      'content-type': 'application/grpc',
      te: 'trailers',
      'user-agent': 'kube-probe/1.33',
    });
    const chunks: Buffer[] = [];
    let status: string | undefined;
    const readStatus = (headers: Record<string, unknown>) => {
      if (headers['grpc-status'] !== undefined) status = String(headers['grpc-status']);
    };
    stream.on('response', readStatus);
    stream.on('trailers', readStatus);
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.on('error', error => finish(`error: ${error.message}`));
    stream.on('end', () => {
      if (status !== undefined && status !== '0') return finish(`service unhealthy (grpc status ${status})`);
      finish(
        servingStatus(Buffer.concat(chunks)) === SERVING
          ? undefined
          : 'service unhealthy (responded with "NOT_SERVING")',
      );
    });
    stream.end(frame(service));
  });
}

/** gRPC's length-prefixed message around `HealthCheckRequest{service = 1}`. */
function frame(service: string): Buffer {
  const name = Buffer.from(service);
  const message = name.length === 0 ? Buffer.alloc(0) : Buffer.concat([Buffer.from([0x0a, name.length]), name]);
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

/** The enum of `HealthCheckResponse{status = 1}`; 0 (UNKNOWN) when absent. */
function servingStatus(body: Buffer): number {
  return body.length >= 7 && body[5] === 0x08 ? (body[6] ?? 0) : 0;
}
