/**
 * Whom the API server calls: a URL, or a port of a service. The same two ways stand in webhook configurations, in the
 * conversion of custom resources and in APIServices.
 */

/** A service as other objects name it (ServiceReference). */
export interface ServiceTarget {
  readonly namespace: string;
  readonly name: string;
  /** `/` if not said. */
  readonly path?: string | undefined;
  /** The Service's port, 443 if not said. */
  readonly port?: number | undefined;
}

/** Exactly one of `url` and `service` is there (WebhookClientConfig). */
export interface CalloutTarget {
  readonly url?: string | undefined;
  readonly service?: ServiceTarget | undefined;
  /** Whom to believe: PEM in base64, as it stands in objects. Without it the system's authorities. */
  readonly caBundle?: string | undefined;
  readonly insecureSkipTLSVerify?: boolean | undefined;
}

/** A target taken apart. */
export interface Destination {
  /** As errors name it, without the query: `https://hook.web.svc:443/mutate`. */
  readonly url: string;
  /** The value of the Host header. */
  readonly host: string;
  /** In whose name the server's certificate must be. */
  readonly serverName: string;
  /** Path and query of the target. */
  readonly path: string;
  readonly service: (ServiceTarget & { readonly port: number }) | undefined;
  /** What to dial if it is no service. */
  readonly address: { readonly host: string; readonly port: string };
}

const HTTPS_PORT = 443;

/** Takes a target apart. Throws a TypeError for a URL that is none, which validation keeps out of the store. */
export function destinationOf({ url, service }: CalloutTarget): Destination {
  if (service) {
    const serverName = `${service.name}.${service.namespace}.svc`;
    const port = service.port ?? HTTPS_PORT;
    const host = `${serverName}:${port}`;
    const path = service.path?.startsWith('/') ? service.path : `/${service.path ?? ''}`;
    return {
      url: `https://${host}${path}`,
      host,
      serverName,
      path,
      service: { ...service, port },
      address: { host: serverName, port: String(port) },
    };
  }
  if (url === undefined) throw new TypeError('neither a URL nor a service to call');
  const parsed = new URL(url);
  const host = parsed.hostname.replace(/^\[|\]$/g, '');
  return {
    url,
    host: parsed.host,
    serverName: host,
    path: `${parsed.pathname}${parsed.search}`,
    service: undefined,
    address: { host, port: parsed.port || String(HTTPS_PORT) },
  };
}
