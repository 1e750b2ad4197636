/** Validation of ingresses and their classes. */
import type {
  HTTPIngressPath,
  Ingress,
  IngressBackend,
  IngressClass,
  IngressClassParametersReference,
  IngressRule,
  IngressTLS,
} from '../generated/types.ts';
import type { FieldError } from '../status.ts';
import { parseIp } from './addresses.ts';
import {
  byRule,
  forbiddenField,
  IMMUTABLE,
  invalidText,
  invalidValue,
  notSupported,
  oneOf,
  required,
  tooLongValue,
} from './errors.ts';
import {
  dns1035Label,
  dns1123Label,
  dns1123Subdomain,
  patternMessage,
  portName,
  portNumber,
  wildcardSubdomain,
} from './names.ts';
import { validateTypedReference } from './references.ts';

/** How an ingress named its class before `ingressClassName`. */
const CLASS_ANNOTATION = 'kubernetes.io/ingress.class';

const PATH_TYPES = ['Exact', 'ImplementationSpecific', 'Prefix'];
const BAD_SEQUENCES = ['//', '/./', '/../', '%2f', '%2F'];
const BAD_ENDS = ['/..', '/.'];
const CONTROLLER_LENGTH_MAX = 250;
const HTTP_PATH = "[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+";
const HTTP_PATH_TEST = new RegExp(`^${HTTP_PATH}$`);

export function validateIngress({ metadata, spec = {} }: Ingress): FieldError[] {
  const { defaultBackend, rules = [], tls = [], ingressClassName: className } = spec;
  const errors: FieldError[] = [];
  if (rules.length === 0 && !defaultBackend) {
    const why = 'either `defaultBackend` or `rules` must be specified';
    errors.push(invalidText('spec', '[]networking.IngressRule(nil)', why));
  }
  if (defaultBackend) errors.push(...validateBackend(defaultBackend, 'spec.defaultBackend'));
  errors.push(
    ...rules.flatMap((rule, index) => validateRule(rule, `spec.rules[${index}]`)),
    ...tls.flatMap((entry, index) => validateTls(entry, `spec.tls[${index}]`)),
  );
  if (className !== undefined) errors.push(...byRule('spec.ingressClassName', className, dns1123Subdomain(className)));
  const annotation = metadata?.annotations?.[CLASS_ANNOTATION];
  if (annotation !== undefined && className !== undefined && annotation !== className) {
    const why = 'must match `ingressClassName` when both are specified';
    errors.push(invalidValue(`annotations.${CLASS_ANNOTATION}`, annotation, why));
  }
  return errors;
}

const validateHost = (field: string, host: string): FieldError[] =>
  byRule(field, host, host.includes('*') ? wildcardSubdomain(host) : dns1123Subdomain(host));

function validateRule({ host = '', http }: IngressRule, path: string): FieldError[] {
  const errors: FieldError[] = [];
  if (host !== '') {
    const isIp = parseIp(host) !== undefined;
    if (isIp) errors.push(invalidValue(`${path}.host`, host, 'must be a DNS name, not an IP address'));
    errors.push(...validateHost(`${path}.host`, host));
  }
  if (!http) return errors;
  const paths = http.paths ?? [];
  if (paths.length === 0) errors.push(required(`${path}.http.paths`));
  return [...errors, ...paths.flatMap((entry, index) => validatePath(entry, `${path}.http.paths[${index}]`))];
}

function validatePath({ path = '', pathType, backend }: HTTPIngressPath, field: string): FieldError[] {
  // The type is a pointer: what was not said is no empty text.
  if (!pathType) return [required(`${field}.pathType`, 'pathType must be specified')];
  const errors: FieldError[] = [];
  const refuse = (why: string) => errors.push(invalidValue(`${field}.path`, path, why));
  const isRelative = !path.startsWith('/');
  if (pathType === 'Exact' || pathType === 'Prefix') {
    if (isRelative) refuse('must be an absolute path');
    for (const text of BAD_SEQUENCES) if (path.includes(text)) refuse(`must not contain '${text}'`);
    for (const text of BAD_ENDS) if (path.endsWith(text)) refuse(`cannot end with '${text}'`);
  } else if (pathType === 'ImplementationSpecific') {
    if (path !== '' && isRelative) refuse('must be an absolute path');
  } else errors.push(notSupported(`${field}.pathType`, pathType, PATH_TYPES));
  return [...errors, ...validateBackend(backend, `${field}.backend`)];
}

function validateBackend({ resource, service }: IngressBackend, path: string): FieldError[] {
  const refuse = (why: string) => invalidValue(path, '', why);
  if (resource && service) return [refuse('cannot set both resource and service backends')];
  if (resource) return validateTypedReference(resource, `${path}.resource`);
  if (!service) return [refuse('resource or service backend is required')];
  const { name, port } = service;
  const field = `${path}.service`;
  const errors = name === '' ? [required(`${field}.name`)] : byRule(`${field}.name`, name, dns1035Label(name));
  if (port?.name && port.number) return [...errors, refuse('cannot set both port name & port number')];
  if (port?.name) return [...errors, ...byRule(`${field}.port.name`, port.name, portName(port.name))];
  const { number } = port ?? {};
  if (!number) return [...errors, required(path, 'port name or number is required')];
  return [...errors, ...portNumber(number).map(why => invalidValue(`${field}.port.number`, number, why))];
}

function validateTls({ hosts = [], secretName }: IngressTLS, path: string): FieldError[] {
  return [
    ...hosts.flatMap((host, index) => validateHost(`${path}.hosts[${index}]`, host)),
    ...(secretName ? byRule(`${path}.secretName`, secretName, dns1123Subdomain(secretName)) : []),
  ];
}

export function ingressWarnings({ metadata }: Ingress, old: Ingress | undefined): string[] {
  if (old || !metadata?.annotations?.[CLASS_ANNOTATION]) return [];
  return [`annotation "${CLASS_ANNOTATION}" is deprecated, please use 'spec.ingressClassName' instead`];
}

export function validateIngressClass({ spec }: IngressClass): FieldError[] {
  const { controller = '', parameters } = spec ?? {};
  return [
    ...(controller.length > CONTROLLER_LENGTH_MAX ? [tooLongValue('spec.controller', CONTROLLER_LENGTH_MAX)] : []),
    ...validateDomainPath('spec.controller', controller),
    ...validateParameters(parameters, 'spec.parameters'),
  ];
}

/** `example.com/ingress-controller`. */
export function validateDomainPath(field: string, text: string): FieldError[] {
  if (text === '') return [required(field)];
  const slash = text.indexOf('/');
  const host = text.slice(0, slash);
  const path = text.slice(slash + 1);
  if (slash < 1 || path === '') {
    return [invalidValue(field, text, 'must be a domain-prefixed path (such as "acme.io/foo")')];
  }
  const errors = byRule(field, host, dns1123Subdomain(host));
  if (!HTTP_PATH_TEST.test(path)) {
    errors.push(invalidValue(field, path, patternMessage('Invalid path', HTTP_PATH)));
  }
  return errors;
}

function validateParameters(parameters: IngressClassParametersReference | undefined, path: string): FieldError[] {
  if (!parameters) return [];
  const { scope, namespace } = parameters;
  const errors = validateTypedReference(parameters, path);
  if (scope === undefined) return [...errors, required(`${path}.scope`)];
  errors.push(...oneOf(`${path}.scope`, scope, ['Cluster', 'Namespace']));
  if (scope === 'Namespace') {
    if (!namespace) errors.push(required(`${path}.namespace`, "`parameters.scope` is set to 'Namespace'"));
    else errors.push(...byRule(`${path}.namespace`, namespace, dns1123Label(namespace)));
  }
  if (scope === 'Cluster' && namespace !== undefined) {
    errors.push(forbiddenField(`${path}.namespace`, "`parameters.scope` is set to 'Cluster'"));
  }
  return errors;
}

export const validateIngressClassUpdate = (object: IngressClass, old: IngressClass): FieldError[] =>
  object.spec?.controller === old.spec?.controller
    ? []
    : [invalidValue('spec.controller', object.spec?.controller ?? '', IMMUTABLE)];
