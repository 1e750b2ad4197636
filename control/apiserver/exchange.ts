/** Small questions about an exchange, and refusals that several parts share. */
import { ApiError } from '../api/status.ts';
import type { Exchange, Identity, Route } from './types.ts';

/** Who asks; only behind the authentication filter. */
export function identityOf(exchange: Exchange): Identity {
  if (!exchange.identity) throw new Error('a request passed the chain without an identity');
  return exchange.identity;
}

/** The product's own path that a request is for. */
export function findRoute(routes: readonly Route[], { method, info }: Exchange): Route | undefined {
  return routes.find(route => route.path === info.path && route.method === method);
}

/** The same request, got instead of whatever it was, with other headers. */
export function gotWith(exchange: Exchange, headers: Exchange['headers']): Exchange {
  const { url, query, clientCertificate, upgrade, connection, remoteAddress, localAddress, info } = exchange;
  const { identity, isInProcess, answerHeaders, warnings, auditAnnotations } = exchange;
  return {
    ...{ method: 'GET', url, query, headers, remoteAddress, localAddress, info, warnings, auditAnnotations },
    ...(exchange.headerValues && { headerValues: name => exchange.headerValues?.(name) ?? [] }),
    readBody: () => exchange.readBody(),
    streamBody: () => exchange.streamBody(),
    get signal() {
      return exchange.signal;
    },
    end: reason => exchange.end(reason),
    ...(clientCertificate && { clientCertificate }),
    ...(upgrade && { upgrade }),
    ...(connection && { connection }),
    ...(identity && { identity }),
    ...(isInProcess !== undefined && { isInProcess }),
    ...(answerHeaders && { answerHeaders }),
  };
}

export function tooManyRequests(): ApiError {
  return new ApiError('TooManyRequests', 'Too many requests, please try again later.', {
    code: 429,
    details: { retryAfterSeconds: 1 },
  });
}

export function methodNotAllowed(): ApiError {
  return new ApiError('MethodNotAllowed', 'the server does not allow this method on the requested resource', {
    details: {},
  });
}
