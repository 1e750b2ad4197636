/** Validation of webhook configurations (k/k:pkg/apis/admissionregistration/validation). */
import type {
  MutatingWebhook,
  MutatingWebhookConfiguration,
  ServiceReference,
  ValidatingWebhookConfiguration,
  WebhookClientConfig,
} from '../generated/types.ts';
import type { FieldError } from '../status.ts';
import { validateAdmissionRule } from './admission-rules.ts';
import { byRule, duplicateValue, invalidText, invalidValue, notSupported, oneOf, required } from './errors.ts';
import { goStrings } from './go-text.ts';
import { validateMatchConditions } from './match-conditions.ts';
import { dns1035Label, dns1123Subdomain, portNumber } from './names.ts';
import { validateLabelSelector } from './scheduling.ts';

const SIDE_EFFECTS = ['None', 'NoneOnDryRun'];
const REVIEW_VERSIONS = ['v1', 'v1beta1'];
const TIMEOUT_SECONDS_MAX = 30;
const NAME_SEGMENTS_MIN = 3;
const URL_FORM = '; desired format: https://host[/path]';

export function validateWebhookConfiguration({
  webhooks = [],
}: MutatingWebhookConfiguration | ValidatingWebhookConfiguration): FieldError[] {
  const names = new Set<string>();
  return webhooks.flatMap((webhook, index) => {
    const path = `webhooks[${index}]`;
    const isRepeated = webhook.name !== '' && names.has(webhook.name);
    names.add(webhook.name);
    return [
      ...validateWebhook(webhook, path),
      ...validateReviewVersions(webhook.admissionReviewVersions, `${path}.admissionReviewVersions`),
      ...(isRepeated ? [duplicateValue(`${path}.name`, webhook.name)] : []),
    ];
  });
}

function validateWebhook(webhook: MutatingWebhook, path: string): FieldError[] {
  const { failurePolicy, matchPolicy, sideEffects, timeoutSeconds, reinvocationPolicy } = webhook;
  const enumeration = (field: string, value: string | undefined, supported: readonly string[]) =>
    value === undefined ? [] : oneOf(`${path}.${field}`, value, supported);
  return [
    ...validateQualifiedDomain(webhook.name ?? '', `${path}.name`),
    ...(webhook.rules ?? []).flatMap((rule, index) => validateAdmissionRule(rule, `${path}.rules[${index}]`)),
    ...enumeration('failurePolicy', failurePolicy, ['Fail', 'Ignore']),
    ...enumeration('matchPolicy', matchPolicy, ['Equivalent', 'Exact']),
    ...validateSideEffects(sideEffects, `${path}.sideEffects`),
    ...(timeoutSeconds !== undefined && (timeoutSeconds > TIMEOUT_SECONDS_MAX || timeoutSeconds < 1)
      ? [
          invalidValue(
            `${path}.timeoutSeconds`,
            timeoutSeconds,
            `the timeout value must be between 1 and ${TIMEOUT_SECONDS_MAX} seconds`,
          ),
        ]
      : []),
    ...validateLabelSelector(webhook.namespaceSelector, `${path}.namespaceSelector`),
    ...validateLabelSelector(webhook.objectSelector, `${path}.objectSelector`),
    ...enumeration('reinvocationPolicy', reinvocationPolicy, ['IfNeeded', 'Never']),
    ...validateClientConfig(webhook.clientConfig ?? {}, `${path}.clientConfig`),
    ...validateMatchConditions(webhook.matchConditions ?? [], `${path}.matchConditions`, { hasAuthorizer: true }),
  ];
}

function validateSideEffects(value: string | undefined, field: string): FieldError[] {
  if (!value) return [required(field, `must specify one of ${SIDE_EFFECTS.join(', ')}`)];
  return SIDE_EFFECTS.includes(value) ? [] : [notSupported(field, value, SIDE_EFFECTS)];
}

/** A name such as `hook.example.com`. */
function validateQualifiedDomain(name: string, field: string): FieldError[] {
  if (name === '') return [required(field)];
  const wrong = dns1123Subdomain(name);
  if (wrong.length > 0) return [invalidValue(field, name, wrong.join(','))];
  if (name.split('.').length >= NAME_SEGMENTS_MIN) return [];
  return [invalidValue(field, name, 'should be a domain with at least three segments separated by dots')];
}

/** Whom to call: a URL or a service. Shared by admission webhooks and the conversion of custom resources. */
function validateClientConfig({ url, service }: WebhookClientConfig, path: string): FieldError[] {
  if ((url === undefined) === (service === undefined)) {
    return [required(path, 'exactly one of url or service is required')];
  }
  if (url !== undefined) return validateWebhookUrl(url, `${path}.url`);
  return service ? validateWebhookService(service, `${path}.service`) : [];
}

/** A URL as Go takes it apart; only what a webhook's may have is allowed. */
function validateWebhookUrl(url: string, field: string): FieldError[] {
  const [, scheme = '', rest = ''] = /^(?:([a-z][a-z0-9+.-]*):)?(.*)$/is.exec(url) ?? [];
  const [, beforeFragment = '', fragment] = /^([^#]*)(?:#(.*))?$/s.exec(rest) ?? [];
  const [, hierarchy = '', query] = /^([^?]*)(?:\?(.*))?$/s.exec(beforeFragment) ?? [];
  const [, authority = ''] = /^\/\/([^/]*)/.exec(hierarchy) ?? [];
  const [, user, host = ''] = /^(?:(.*)@)?(.*)$/.exec(authority) ?? [];
  const errors: FieldError[] = [];
  if (scheme.toLowerCase() !== 'https') {
    errors.push(invalidValue(field, scheme.toLowerCase(), `'https' is the only allowed URL scheme${URL_FORM}`));
  }
  if (host === '') errors.push(invalidValue(field, host, `host must be provided${URL_FORM}`));
  if (user !== undefined) errors.push(invalidValue(field, user, 'user information is not permitted in the URL'));
  if (fragment) errors.push(invalidValue(field, fragment, 'fragments are not permitted in the URL'));
  if (query) errors.push(invalidValue(field, query, 'query parameters are not permitted in the URL'));
  return errors;
}

/** A service, its port and its path. */
function validateWebhookService(
  { name, namespace, path: urlPath, port }: ServiceReference,
  path: string,
): FieldError[] {
  return [
    ...(name ? [] : [required(`${path}.name`, 'service name is required')]),
    ...(namespace ? [] : [required(`${path}.namespace`, 'service namespace is required')]),
    ...validateServicePort(port, `${path}.port`),
    ...(urlPath === undefined ? [] : validateUrlPath(urlPath, `${path}.path`)),
  ];
}

/** The port of a service that is called. */
export function validateServicePort(port: number | undefined, field: string): FieldError[] {
  const wrong = portNumber(port ?? 0);
  return wrong.length > 0 ? [invalidValue(field, port ?? 0, `port is not valid: ${wrong.join(', ')}`)] : [];
}

function validateUrlPath(path: string, field: string): FieldError[] {
  if (path === '/' || path === '') return [];
  if (path === '//') return [invalidValue(field, path, 'segment[0] may not be empty')];
  const errors = path.startsWith('/') ? [] : [invalidValue(field, path, "must start with a '/'")];
  const segments = path.slice(1).replace(/\/$/, '').split('/');
  for (const [index, segment] of segments.entries()) {
    if (segment === '') errors.push(invalidValue(field, path, `segment[${index}] may not be empty`));
    else
      for (const why of dns1123Subdomain(segment)) errors.push(invalidValue(field, path, `segment[${index}]: ${why}`));
  }
  return errors;
}

function validateReviewVersions(versions: readonly string[] | undefined, field: string): FieldError[] {
  const list = versions ?? [];
  if (list.length === 0) return [required(field, `must specify one of ${REVIEW_VERSIONS.join(', ')}`)];
  const errors = list.flatMap((version, index) =>
    list.indexOf(version) < index
      ? [invalidValue(`${field}[${index}]`, version, 'duplicate version')]
      : byRule(`${field}[${index}]`, version, dns1035Label(version)),
  );
  if (list.some(version => REVIEW_VERSIONS.includes(version))) return errors;
  return [...errors, invalidText(field, goStrings(list), `must include at least one of ${REVIEW_VERSIONS.join(', ')}`)];
}
