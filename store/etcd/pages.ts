/**
 * What etcd answers on its clients' port beside gRPC: its figures, whether it is well, its version. `etcdctl check datascale`,
 * load balancers and Prometheus look there. As in etcd, authentication does not concern them; certificates do.
 */
import type { EtcdContext } from './context.ts';
import { API_LEVEL, API_VERSION } from './version.ts';

export interface Page {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

/** Gives the answer to a GET of `target`, a path that may have a query. Never rejects. */
export type Pages = (target: string) => Promise<Page>;

const JSON_TYPE = 'application/json';
const TEXT_TYPE = 'text/plain; charset=utf-8';

/** @param metrics what Prometheus is told; undefined where the owner of the store keeps no figures */
export function etcdPages(context: EtcdContext, metrics: MetricsText | undefined): Pages {
  const answer = async (target: string): Promise<Page> => {
    const { pathname, searchParams } = new URL(target, 'http://etcd');
    switch (pathname) {
      case '/metrics':
        if (metrics === undefined) return text(404, 'this member keeps no figures\n');
        return { status: 200, type: metrics.contentType, body: await metrics.metrics() };
      case '/health':
        return health(context, searchParams);
      case '/version':
        return json(200, { etcdserver: API_VERSION, etcdcluster: `${API_LEVEL}.0` });
      default:
        return text(404, '404 page not found\n');
    }
  };
  return target =>
    answer(target).catch((error: unknown) => text(500, `${error instanceof Error ? error.message : String(error)}\n`));
}

/** As prom-client's registry has it. */
export interface MetricsText {
  readonly contentType: string;
  metrics(): Promise<string>;
}

/** `?serializable=true` asks for this member alone, `?exclude=NOSPACE` does not mind that alarm. */
async function health(context: EtcdContext, query: URLSearchParams): Promise<Page> {
  const excluded = query.getAll('exclude');
  const alarm = context.state.alarms.find(({ type }) => !excluded.includes(type));
  if (alarm !== undefined) return unhealthy(`ALARM ${alarm.type}`);
  if (!context.hasLeader && query.get('serializable') !== 'true') return unhealthy('RAFT NO LEADER');
  try {
    await context.client.range({ key: '\0', countOnly: true, serializable: query.get('serializable') === 'true' });
  } catch (error) {
    return unhealthy(`RANGE ERROR:${error instanceof Error ? error.message : String(error)}`);
  }
  return json(200, { health: 'true', reason: '' });
}

function unhealthy(reason: string): Page {
  return json(503, { health: 'false', reason });
}

function json(status: number, body: object): Page {
  return { status, type: JSON_TYPE, body: JSON.stringify(body) };
}

function text(status: number, body: string): Page {
  return { status, type: TEXT_TYPE, body };
}
