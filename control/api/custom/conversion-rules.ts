/** How a definition's versions are to be converted (apiextensions-apiserver pkg/apis/apiextensions/validation). */
import type { CustomResourceConversion, ServiceReference, WebhookConversion } from '../generated/types.ts';
import type { FieldError } from '../status.ts';
import { forbiddenField, invalidText, invalidValue, oneOf, required } from '../validation/errors.ts';
import { goStrings } from '../validation/go-text.ts';
import { dns1035Label } from '../validation/names.ts';

const REVIEW_VERSIONS = ['v1', 'v1beta1'];
const PATH = 'spec.conversion';

/** Errors are told by the paths of Kubernetes' inner form, in which the webhook's parts stand side by side. */
export function validateConversion(conversion: CustomResourceConversion | undefined): FieldError[] {
  if (!conversion) return [];
  const { strategy, webhook } = conversion;
  const errors =
    strategy === '' ? [required(`${PATH}.strategy`)] : oneOf(`${PATH}.strategy`, strategy, ['None', 'Webhook']);
  if (strategy === 'Webhook') return [...errors, ...validateWebhook(webhook)];
  const why = 'should not be set when strategy is not set to Webhook';
  if (webhook?.clientConfig) errors.push(forbiddenField(`${PATH}.webhookClientConfig`, why));
  if ((webhook?.conversionReviewVersions ?? []).length > 0) {
    errors.push(forbiddenField(`${PATH}.conversionReviewVersions`, why));
  }
  return errors;
}

function validateWebhook(webhook: WebhookConversion | undefined): FieldError[] {
  return [...validateClient(webhook?.clientConfig), ...validateReviewVersions(webhook?.conversionReviewVersions ?? [])];
}

function validateClient(config: WebhookConversion['clientConfig']): FieldError[] {
  const path = `${PATH}.webhookClientConfig`;
  if (!config) return [required(path, 'required when strategy is set to Webhook')];
  const { url, service } = config;
  if ((url === undefined) === (service === undefined)) {
    return [required(path, 'exactly one of url or service is required')];
  }
  return service ? validateService(service, `${path}.service`) : validateUrl(url ?? '', `${path}.url`);
}

/** `https://host/path` (apiserver pkg/util/webhook ValidateWebhookURL). */
function validateUrl(text: string, path: string): FieldError[] {
  const form = '; desired format: https://host[/path]';
  if (!URL.canParse(text)) return [required(path, `url must be a valid URL: parse ${JSON.stringify(text)}${form}`)];
  const url = new URL(text);
  const errors: FieldError[] = [];
  if (url.protocol !== 'https:') {
    errors.push(invalidValue(path, url.protocol.slice(0, -1), `'https' is the only allowed URL scheme${form}`));
  }
  if (url.host === '') errors.push(invalidValue(path, url.host, `host must be specified${form}`));
  if (url.username !== '' || url.password !== '') {
    const user = url.password === '' ? url.username : `${url.username}:${url.password}`;
    errors.push(invalidValue(path, user, 'user information is not permitted in the URL'));
  }
  if (url.hash !== '') errors.push(invalidValue(path, url.hash.slice(1), 'fragments are not permitted in the URL'));
  if (url.search !== '') {
    errors.push(invalidValue(path, url.search.slice(1), 'query parameters are not permitted in the URL'));
  }
  return errors;
}

const PORT_MAX = 65_535;

function validateService({ name, namespace, path: urlPath, port = 443 }: ServiceReference, path: string): FieldError[] {
  const errors: FieldError[] = [];
  if (name === '') errors.push(required(`${path}.name`, 'service name is required'));
  if (namespace === '') errors.push(required(`${path}.namespace`, 'service namespace is required'));
  if (!Number.isInteger(port) || port < 1 || port > PORT_MAX) {
    const why = `port is not valid: must be between 1 and ${PORT_MAX}, inclusive`;
    errors.push(invalidValue(`${path}.port`, port, why));
  }
  if (urlPath === undefined || urlPath === '/' || urlPath === '') return errors;
  if (!urlPath.startsWith('/')) return [...errors, invalidValue(`${path}.path`, urlPath, "must start with a '/'")];
  if (urlPath.slice(1).replace(/\/$/, '').split('/').includes('')) {
    errors.push(invalidValue(`${path}.path`, urlPath, 'segment[0] may not be empty'));
  }
  return errors;
}

function validateReviewVersions(versions: readonly string[]): FieldError[] {
  const path = `${PATH}.conversionReviewVersions`;
  if (versions.length === 0) return [required(path)];
  const errors = versions.flatMap((version, index) => {
    const where = `${path}[${index}]`;
    if (versions.indexOf(version) < index) return [invalidValue(where, version, 'duplicate version')];
    return dns1035Label(version).map(why => invalidValue(where, version, why));
  });
  if (!versions.some(version => REVIEW_VERSIONS.includes(version))) {
    errors.push(invalidText(path, goStrings(versions), `must include at least one of ${REVIEW_VERSIONS.join(', ')}`));
  }
  return errors;
}
