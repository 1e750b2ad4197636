/** Containers and volumes, for pods and for pod templates. */
import type {
  Container,
  ContainerPort,
  ContainerState,
  ContainerStatus,
  EnvFromSource,
  EnvVar,
  ObjectMeta,
  PodSpec,
  PodTemplateSpec,
  Probe,
  Volume,
} from '../../control/api/generated/types.ts';
import { selectorOrNone } from '../../control/api/printers/printer.ts';
import { milliValue, parseQuantity } from '../../control/api/schema/quantity.ts';
import { indent, labelLines, mapLines, timeText } from './lines.ts';
import { volumeSourceLines } from './volumes.ts';

/** A pod template, with tabs. */
export function templateLines(template: PodTemplateSpec | undefined): string[] {
  const annotations = template?.metadata?.annotations;
  const account = template?.spec?.serviceAccountName;
  return indent(
    [
      ...labelLines(template?.metadata?.labels),
      ...(annotations ? mapLines('Annotations', annotations, ': ') : []),
      ...(account ? [`Service Account:\t${account}`] : []),
      ...specLines(template?.spec),
    ],
    '  ',
  );
}

/** Init containers, containers, volumes and where the pod may run. */
function specLines(spec: PodSpec | undefined): string[] {
  return [
    ...(spec?.initContainers?.length ? containerLines('Init Containers', spec.initContainers, undefined) : []),
    ...containerLines('Containers', spec?.containers ?? [], undefined),
    ...volumeLines(spec?.volumes, { isTemplate: true }),
    ...spreadLines(spec),
    ...(spec?.priorityClassName ? [`Priority Class Name:\t${spec.priorityClassName}`] : []),
    ...mapLines('Node-Selectors', spec?.nodeSelector, '='),
    ...tolerationLines(spec),
  ];
}

export function tolerationLines(spec: PodSpec | undefined): string[] {
  const texts = (spec?.tolerations ?? []).map(({ key, operator, value, effect, tolerationSeconds }) => {
    const what = `${key ?? ''}${value ? `=${value}` : ''}${effect ? `:${effect}` : ''}`;
    const exists = operator === 'Exists' && !value ? ' op=Exists' : '';
    return `${what}${exists}${tolerationSeconds === undefined ? '' : ` for ${tolerationSeconds}s`}`.trim();
  });
  if (texts.length === 0) return ['Tolerations:\t<none>'];
  return texts.sort().map((text, index) => `${index === 0 ? 'Tolerations:' : ''}\t${text}`);
}

/** How pods are to be spread; nothing where that is not said. */
export function spreadLines(spec: PodSpec | undefined): string[] {
  return [...(spec?.topologySpreadConstraints ?? [])]
    .sort((a, b) => (a.topologyKey < b.topologyKey ? -1 : 1))
    .map(({ topologyKey, whenUnsatisfiable, maxSkew, labelSelector }, index) => {
      const among = labelSelector ? ` for selector ${selectorOrNone(labelSelector)}` : '';
      const title = index === 0 ? 'Topology Spread Constraints:' : '';
      return `${title}\t${topologyKey}:${whenUnsatisfiable} when max skew ${maxSkew} is exceeded${among}`;
    });
}

/** The statuses tell state and restarts; without them it is a template. The pod's fields are what variables refer to. */
export function containerLines(
  title: string,
  containers: readonly Container[],
  statuses: readonly ContainerStatus[] | undefined,
  metadata?: ObjectMeta,
): string[] {
  return [
    `${title}:`,
    ...containers.flatMap(container => {
      const status = statuses?.find(({ name }) => name === container.name);
      // Within a template, which is indented itself, kubectl indents by less.
      const [nameIndent, fieldIndent] = statuses ? ['  ', '    '] : [' ', '  '];
      return [`${nameIndent}${container.name}:`, ...indent(oneContainer(container, status, metadata), fieldIndent)];
    }),
  ];
}

function oneContainer(
  container: Container,
  status: ContainerStatus | undefined,
  metadata: ObjectMeta | undefined,
): string[] {
  const ports = container.ports ?? [];
  const plural = ports.length > 1 ? 'Ports' : 'Port';
  return [
    ...(status ? [`Container ID:\t${status.containerID ?? ''}`] : []),
    `Image:\t${container.image ?? ''}`,
    ...(status ? [`Image ID:\t${status.imageID ?? ''}`] : []),
    `${plural}:\t${portsText(ports, port => port.containerPort)}`,
    `Host ${plural}:\t${portsText(ports, port => port.hostPort ?? 0)}`,
    ...wordLines('Command', container.command),
    ...wordLines('Args', container.args),
    ...(status ? statusLines(status) : []),
    ...resourceLines('Limits', container.resources?.limits),
    ...resourceLines('Requests', container.resources?.requests),
    ...(container.livenessProbe ? [`Liveness:\t${probeText(container.livenessProbe)}`] : []),
    ...(container.readinessProbe ? [`Readiness:\t${probeText(container.readinessProbe)}`] : []),
    ...(container.startupProbe ? [`Startup:\t${probeText(container.startupProbe)}`] : []),
    ...environmentSourceLines(container.envFrom),
    ...environmentLines(container, metadata),
    ...mountLines(container),
  ];
}

function portsText(ports: readonly ContainerPort[], number: (port: ContainerPort) => number): string {
  if (ports.length === 0) return '<none>';
  return ports.map(port => `${number(port)}/${port.protocol ?? 'TCP'}`).join(', ');
}

function wordLines(title: string, words: readonly string[] | undefined): string[] {
  if (!words?.length) return [];
  return [`${title}:`, ...words.flatMap(word => word.split('\n').map(line => `  ${line}`))];
}

function statusLines(status: ContainerStatus): string[] {
  return [
    ...stateLines('State', status.state),
    ...(status.lastState?.terminated ? stateLines('Last State', status.lastState) : []),
    `Ready:\t${status.ready ? 'True' : 'False'}`,
    `Restart Count:\t${status.restartCount}`,
  ];
}

function stateLines(title: string, state: ContainerState | undefined): string[] {
  if (state?.running) return [`${title}:\tRunning`, `  Started:\t${timeText(state.running.startedAt)}`];
  const { terminated } = state ?? {};
  if (terminated) {
    return [
      `${title}:\tTerminated`,
      ...(terminated.reason ? [`  Reason:\t${terminated.reason}`] : []),
      ...(terminated.message ? [`  Message:\t${terminated.message}`] : []),
      `  Exit Code:\t${terminated.exitCode}`,
      ...(terminated.signal ? [`  Signal:\t${terminated.signal}`] : []),
      `  Started:\t${timeText(terminated.startedAt)}`,
      `  Finished:\t${timeText(terminated.finishedAt)}`,
    ];
  }
  return [`${title}:\tWaiting`, ...(state?.waiting?.reason ? [`  Reason:\t${state.waiting.reason}`] : [])];
}

function resourceLines(title: string, amounts: Readonly<Record<string, string | number>> | undefined): string[] {
  const entries = Object.entries(amounts ?? {}).sort(([a], [b]) => (a < b ? -1 : 1));
  return entries.length === 0 ? [] : [`${title}:`, ...entries.map(([name, amount]) => `  ${name}:\t${amount}`)];
}

/** `http-get http://:80/ delay=0s timeout=1s period=10s #success=1 #failure=3` */
function probeText(probe: Probe): string {
  const attributes = `delay=${probe.initialDelaySeconds ?? 0}s timeout=${probe.timeoutSeconds ?? 1}s period=${probe.periodSeconds ?? 10}s #success=${probe.successThreshold ?? 1} #failure=${probe.failureThreshold ?? 3}`;
  if (probe.exec) return `exec [${(probe.exec.command ?? []).join(' ')}] ${attributes}`;
  if (probe.httpGet) {
    const { scheme = 'HTTP', host = '', port, path = '' } = probe.httpGet;
    return `http-get ${scheme.toLowerCase()}://${host}:${port}${path} ${attributes}`;
  }
  if (probe.tcpSocket) return `tcp-socket ${probe.tcpSocket.host ?? ''}:${probe.tcpSocket.port} ${attributes}`;
  if (probe.grpc) return `grpc <pod>:${probe.grpc.port} ${probe.grpc.service ?? ''} ${attributes}`;
  return `unknown ${attributes}`;
}

function environmentSourceLines(sources: readonly EnvFromSource[] | undefined): string[] {
  if (!sources?.length) return [];
  return [
    'Environment Variables from:',
    ...sources.map(({ prefix, configMapRef, secretRef }) => {
      const { name = '', optional = false } = configMapRef ?? secretRef ?? {};
      const kind = secretRef ? 'Secret' : 'ConfigMap';
      return `  ${name}\t${kind}${prefix ? ` with prefix '${prefix}'` : ''}\tOptional: ${optional}`;
    }),
  ];
}

function environmentLines(container: Container, metadata: ObjectMeta | undefined): string[] {
  const { env: variables } = container;
  if (!variables?.length) return ['Environment:\t<none>'];
  return [
    'Environment:',
    ...variables.flatMap(variable =>
      variableText(variable, { metadata, container })
        .split('\n')
        .map((line, index) => `${index === 0 ? `  ${variable.name}:` : '  '}\t${line}`),
    ),
  ];
}

/** What a reference to the container's own resources gives, as far as that is known before it runs. */
function resourceText(
  { resource, divisor = '1' }: { readonly resource: string; readonly divisor?: string | number },
  container: Container,
): string {
  const [kind = '', name = ''] = resource.split('.');
  const amounts = (kind === 'limits' ? container.resources?.limits : container.resources?.requests) ?? {};
  const amount = (amounts as Readonly<Record<string, string | number>>)[name];
  if (amount === undefined) return kind === 'limits' ? 'node allocatable' : '0';
  const unit = milliValue(parseQuantity(String(divisor))) || 1000;
  return String(Math.ceil(milliValue(parseQuantity(String(amount))) / unit));
}

/** What a field reference to the pod's metadata gives; other fields are known on the node only. */
function fieldText(path: string, metadata: ObjectMeta | undefined): string {
  if (path === 'metadata.name') return metadata?.name ?? '';
  if (path === 'metadata.namespace') return metadata?.namespace ?? '';
  if (path === 'metadata.uid') return metadata?.uid ?? '';
  const [, map, key = ''] = /^metadata\.(labels|annotations)\['([^']*)'\]$/.exec(path) ?? [];
  return (map === 'labels' ? metadata?.labels : map === 'annotations' ? metadata?.annotations : undefined)?.[key] ?? '';
}

function variableText(
  { value, valueFrom }: EnvVar,
  { metadata, container }: { readonly metadata: ObjectMeta | undefined; readonly container: Container },
): string {
  if (valueFrom?.fieldRef) {
    const { apiVersion = 'v1', fieldPath } = valueFrom.fieldRef;
    return `${fieldText(fieldPath, metadata)} (${apiVersion}:${fieldPath})`;
  }
  if (valueFrom?.resourceFieldRef) {
    const { resource } = valueFrom.resourceFieldRef;
    return `${resourceText(valueFrom.resourceFieldRef, container)} (${resource})`;
  }
  if (valueFrom?.secretKeyRef) {
    const { key, name = '', optional = false } = valueFrom.secretKeyRef;
    return `<set to the key '${key}' in secret '${name}'>\tOptional: ${optional}`;
  }
  if (valueFrom?.configMapKeyRef) {
    const { key, name = '', optional = false } = valueFrom.configMapKeyRef;
    return `<set to the key '${key}' of config map '${name}'>\tOptional: ${optional}`;
  }
  return value ?? '';
}

function mountLines(container: Container): string[] {
  const mounts = container.volumeMounts ?? [];
  if (mounts.length === 0) return ['Mounts:\t<none>'];
  const texts = [...mounts]
    .sort((a, b) => (a.mountPath < b.mountPath ? -1 : 1))
    .map(mount => {
      const flags = [mount.readOnly ? 'ro' : 'rw', ...(mount.subPath ? [`path="${mount.subPath}"`] : [])];
      return `  ${mount.mountPath} from ${mount.name} (${flags.join(',')})`;
    });
  return ['Mounts:', ...texts];
}

export function volumeLines(volumes: readonly Volume[] | undefined, options = { isTemplate: false }): string[] {
  if (!volumes?.length) return ['Volumes:	<none>'];
  const [nameIndent, fieldIndent] = options.isTemplate ? [' ', '  '] : ['  ', '    '];
  return [
    'Volumes:',
    ...volumes.flatMap(volume => [`${nameIndent}${volume.name}:`, ...indent(volumeSourceLines(volume), fieldIndent)]),
  ];
}
