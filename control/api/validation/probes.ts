/** Probes and lifecycle hooks of containers. */
import type {
  Container,
  EphemeralContainer,
  HTTPGetAction,
  Lifecycle,
  LifecycleHandler,
  Probe,
} from '../generated/types.ts';
import type { FieldError } from '../status.ts';
import { byRule, forbiddenField, invalidValue, notNegative, oneOf, required } from './errors.ts';
import { patternMessage, portName, portNumber } from './names.ts';

/** A port by number or name. */
export function validatePortNumberOrName(port: number | string | undefined, field: string): FieldError[] {
  if (typeof port === 'string') return byRule(field, port, portName(port));
  return portNumber(port ?? 0).map(sentence => invalidValue(field, port ?? 0, sentence));
}

function validateHttpGet(action: HTTPGetAction, path: string): FieldError[] {
  const errors: FieldError[] = [];
  if (!action.path) errors.push(required(`${path}.path`));
  errors.push(
    ...validatePortNumberOrName(action.port, `${path}.port`),
    ...oneOf(`${path}.scheme`, action.scheme ?? '', ['HTTP', 'HTTPS']),
  );
  for (const { name } of action.httpHeaders ?? []) {
    if (!/^[-A-Za-z0-9]+$/.test(name)) {
      errors.push(
        invalidValue(
          `${path}.httpHeaders`,
          name,
          patternMessage(
            "a valid HTTP header must consist of alphanumeric characters or '-'",
            '[-A-Za-z0-9]+',
            'X-Header-Name',
          ),
        ),
      );
    }
  }
  return errors;
}

/** Exactly one way to act; all but the first found are refused. */
function validateHandler(
  handler: Probe & LifecycleHandler,
  path: string,
  graceSeconds: number | undefined,
): FieldError[] {
  const errors: FieldError[] = [];
  let count = 0;
  const take = (name: string, validate: () => FieldError[]): void => {
    if (count++ > 0) errors.push(forbiddenField(`${path}.${name}`, 'may not specify more than 1 handler type'));
    else errors.push(...validate());
  };
  const { exec, httpGet, tcpSocket, grpc, sleep } = handler;
  if (exec) take('exec', () => (exec.command?.length ? [] : [required(`${path}.exec.command`)]));
  if (httpGet) take('httpGet', () => validateHttpGet(httpGet, `${path}.httpGet`));
  if (tcpSocket) take('tcpSocket', () => validatePortNumberOrName(tcpSocket.port, `${path}.tcpSocket.port`));
  if (grpc) {
    take('grpc', () => portNumber(grpc.port).map(sentence => invalidValue(`${path}.grpc.port`, grpc.port, sentence)));
  }
  if (sleep) {
    take('sleep', () =>
      sleep.seconds < 0 || (graceSeconds !== undefined && sleep.seconds > graceSeconds)
        ? [
            invalidValue(
              `${path}.sleep`,
              sleep.seconds,
              `must be non-negative and less than terminationGracePeriodSeconds (${graceSeconds ?? 0})`,
            ),
          ]
        : [],
    );
  }
  if (count === 0) errors.push(required(path, 'must specify a handler type'));
  return errors;
}

function validateProbe(probe: Probe, path: string): FieldError[] {
  return [
    ...validateHandler(probe, path, undefined),
    ...notNegative(`${path}.initialDelaySeconds`, probe.initialDelaySeconds),
    ...notNegative(`${path}.timeoutSeconds`, probe.timeoutSeconds),
    ...notNegative(`${path}.periodSeconds`, probe.periodSeconds),
    ...notNegative(`${path}.successThreshold`, probe.successThreshold),
    ...notNegative(`${path}.failureThreshold`, probe.failureThreshold),
    ...(probe.terminationGracePeriodSeconds !== undefined && probe.terminationGracePeriodSeconds <= 0
      ? [
          invalidValue(
            `${path}.terminationGracePeriodSeconds`,
            probe.terminationGracePeriodSeconds,
            'must be greater than 0',
          ),
        ]
      : []),
  ];
}

/** All three probes of a container. */
export function validateProbes(container: Container | EphemeralContainer, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const { livenessProbe, readinessProbe, startupProbe } = container;
  const onlyOnce = (probe: Probe, field: string): FieldError[] =>
    probe.successThreshold !== 1
      ? [invalidValue(`${field}.successThreshold`, probe.successThreshold ?? 0, 'must be 1')]
      : [];
  if (livenessProbe) {
    const field = `${path}.livenessProbe`;
    errors.push(...validateProbe(livenessProbe, field), ...onlyOnce(livenessProbe, field));
  }
  if (readinessProbe) {
    const field = `${path}.readinessProbe`;
    errors.push(...validateProbe(readinessProbe, field));
    if (readinessProbe.terminationGracePeriodSeconds !== undefined) {
      errors.push(
        invalidValue(
          `${field}.terminationGracePeriodSeconds`,
          readinessProbe.terminationGracePeriodSeconds,
          'must not be set for readinessProbes',
        ),
      );
    }
  }
  if (startupProbe) {
    const field = `${path}.startupProbe`;
    errors.push(...validateProbe(startupProbe, field), ...onlyOnce(startupProbe, field));
  }
  return errors;
}

/** The hooks of a container. */
export function validateLifecycle(
  lifecycle: Lifecycle | undefined,
  path: string,
  graceSeconds: number | undefined,
): FieldError[] {
  const errors: FieldError[] = [];
  if (lifecycle?.postStart) errors.push(...validateHandler(lifecycle.postStart, `${path}.postStart`, graceSeconds));
  if (lifecycle?.preStop) errors.push(...validateHandler(lifecycle.preStop, `${path}.preStop`, graceSeconds));
  return errors;
}
