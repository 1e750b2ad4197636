/** The connection to a Docker Engine: where it listens, which API version is spoken, what its errors mean. */
import Dockerode, { type DockerOptions } from 'dockerode';
import { RuntimeUnavailableError } from '../runtime.ts';
import { apiVersionMax, apiVersionMin, connectTimeoutMs } from './limits.ts';

export interface EngineConnection {
  readonly docker: Dockerode;
  readonly engineVersion: string;
  readonly architecture: string;
}

export const defaultDockerHost = 'unix:///var/run/docker.sock';

/** `unix:///path`, `tcp://host:port` or a bare path, as in `DOCKER_HOST`. Throws {@link RuntimeUnavailableError}. */
export function parseDockerHost(host: string): DockerOptions {
  // Each key is given, also as undefined: the library would else fill it from the environment.
  const none = { socketPath: undefined, host: undefined, port: undefined, protocol: 'http' as const };
  if (host.startsWith('/')) return { ...none, socketPath: host };
  if (host.startsWith('unix://') && host.length > 'unix://'.length) {
    return { ...none, socketPath: host.slice('unix://'.length) };
  }
  const tcp = /^(?:tcp|http):\/\/([^/:]+|\[[^\]]+\]):(\d+)\/?$/.exec(host);
  if (tcp !== null) return { ...none, host: tcp[1], port: tcp[2] };
  throw new RuntimeUnavailableError(
    `DOCKER_HOST ${JSON.stringify(host)} is not understood: give unix:///path/to/docker.sock or tcp://127.0.0.1:port`,
  );
}

/** Finds out which version both sides know. Throws {@link RuntimeUnavailableError} with what to do. */
export async function connectEngine(host: string): Promise<EngineConnection> {
  const options = parseDockerHost(host);
  const version = await new Dockerode({ ...options, timeout: connectTimeoutMs }).version().catch((error: unknown) => {
    throw new RuntimeUnavailableError(explainUnreachable(host, error), { cause: error });
  });
  const apiVersion = negotiate(version);
  return {
    docker: new Dockerode({ ...options, version: `v${apiVersion}` }),
    engineVersion: version.Version,
    architecture: version.Arch,
  };
}

/** The newest version that both know. Throws {@link RuntimeUnavailableError} if there is none. */
export function negotiate(engine: { ApiVersion: string; MinAPIVersion?: string; Version: string }): string {
  if (typeof engine.ApiVersion !== 'string') throw new RuntimeUnavailableError('what answers is no Docker Engine');
  if (compareVersions(engine.ApiVersion, apiVersionMin) < 0) {
    throw new RuntimeUnavailableError(
      `Docker Engine ${engine.Version} is too old (API ${engine.ApiVersion}): install Docker Engine 20.10 or later`,
    );
  }
  if (engine.MinAPIVersion !== undefined && compareVersions(engine.MinAPIVersion, apiVersionMax) > 0) {
    throw new RuntimeUnavailableError(
      `Docker Engine ${engine.Version} speaks API ${engine.MinAPIVersion} and later, this version of raftsman at most ${apiVersionMax}: upgrade raftsman`,
    );
  }
  return compareVersions(engine.ApiVersion, apiVersionMax) > 0 ? apiVersionMax : engine.ApiVersion;
}

function compareVersions(left: string, right: string): number {
  const [leftMajor = 0, leftMinor = 0] = left.split('.').map(Number);
  const [rightMajor = 0, rightMinor = 0] = right.split('.').map(Number);
  return leftMajor - rightMajor || leftMinor - rightMinor;
}

function explainUnreachable(host: string, error: unknown): string {
  switch (systemCodeOf(error)) {
    case 'ENOENT':
    case 'ECONNREFUSED':
      return `no Docker Engine answers at ${host}: install and start Docker Engine 20.10 or later, or set DOCKER_HOST`;
    case 'EACCES':
    case 'EPERM':
      return `no permission to use the Docker Engine at ${host}: run as root or as a member of the group docker`;
    default:
      return `the Docker Engine at ${host} cannot be used: ${messageOf(error)}`;
  }
}

/** The HTTP status that the engine answered with; undefined if it was no answer of the engine. */
export function statusCodeOf(error: unknown): number | undefined {
  if (!(error instanceof Error) || !('statusCode' in error)) return undefined;
  return typeof error.statusCode === 'number' ? error.statusCode : undefined;
}

export function isNotFound(error: unknown): boolean {
  return statusCodeOf(error) === 404;
}

/** What the engine said, without what the library puts around it. */
export function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if ('json' in error && typeof error.json === 'object' && error.json !== null && 'message' in error.json) {
    return String(error.json.message).trim();
  }
  return error.message.replace(/^\(HTTP code \d+\) [^-]* - /, '').trim();
}

function systemCodeOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

/** A request whose answer is read as it comes. The library offers this for some paths only. */
export function openStream(
  docker: Dockerode,
  request: {
    readonly path: string;
    readonly query: Readonly<Record<string, string | number | boolean>>;
    readonly signal: AbortSignal;
  },
): Promise<NodeJS.ReadableStream> {
  return new Promise((resolve, reject) => {
    docker.modem.dial(
      {
        path: `${request.path}?`,
        method: 'GET',
        isStream: true,
        abortSignal: request.signal,
        statusCodes: { 200: true, 404: 'not found', 500: 'server error' },
        options: { ...request.query },
      },
      (error: unknown, stream: unknown) => {
        if (error) return reject(error);
        // The library gives the response itself when `isStream` is set.
        resolve(stream as NodeJS.ReadableStream);
      },
    );
  });
}
