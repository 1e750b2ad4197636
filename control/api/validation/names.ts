/**
 * Rules for names and keys, with Kubernetes' sentences (apimachinery pkg/util/validation). Each rule gives the sentences
 * that apply; none means that the text is good.
 */

/** Judges a name. `isPrefix` is true for `generateName`, which may end in a dash. */
export type NameRule = (name: string, isPrefix: boolean) => string[];

const LABEL = '[a-z0-9]([-a-z0-9]*[a-z0-9])?';
const LABEL_MESSAGE =
  "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character";
const SUBDOMAIN = `${LABEL}(\\.${LABEL})*`;
const SUBDOMAIN_MESSAGE =
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character";
const LABEL_1035 = '[a-z]([-a-z0-9]*[a-z0-9])?';
const LABEL_1035_MESSAGE =
  "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character";
const QUALIFIED = '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]';
const QUALIFIED_MESSAGE =
  "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character";
const CONFIG_KEY = '[-._a-zA-Z0-9]+';

const LABEL_LENGTH_MAX = 63;
const SUBDOMAIN_LENGTH_MAX = 253;

const whole = (pattern: string) => new RegExp(`^(?:${pattern})$`);
const LABEL_TEST = whole(LABEL);
const SUBDOMAIN_TEST = whole(SUBDOMAIN);
const LABEL_1035_TEST = whole(LABEL_1035);
const QUALIFIED_TEST = whole(QUALIFIED);
const CONFIG_KEY_TEST = whole(CONFIG_KEY);

/** The sentence for text over a length. */
export const tooLong = (lengthMax: number): string => `must be no more than ${lengthMax} characters`;

/** A rule's sentence with examples and the pattern, as apimachinery's RegexError writes it. */
export function patternMessage(message: string, pattern: string, ...examples: string[]): string {
  const shown = examples.map((example, index) => `${index === 0 ? 'e.g. ' : ' or '}'${example}', `).join('');
  return `${message} (${shown}regex used for validation is '${pattern}')`;
}

const encoder = new TextEncoder();

/** True if the text has more bytes than that. A character has three at most, so short text need not be encoded. */
const isLonger = (text: string, bytesMax: number): boolean =>
  text.length > bytesMax || (text.length * 3 > bytesMax && encoder.encode(text).length > bytesMax);

/** RFC 1123 label: `my-name`. */
export function dns1123Label(text: string): string[] {
  const found: string[] = [];
  if (isLonger(text, LABEL_LENGTH_MAX)) found.push(tooLong(LABEL_LENGTH_MAX));
  if (!LABEL_TEST.test(text)) {
    found.push(
      SUBDOMAIN_TEST.test(text) ? 'must not contain dots' : patternMessage(LABEL_MESSAGE, LABEL, 'my-name', '123-abc'),
    );
  }
  return found;
}

/** RFC 1123 subdomain: `example.com`. */
export function dns1123Subdomain(text: string): string[] {
  const found: string[] = [];
  if (isLonger(text, SUBDOMAIN_LENGTH_MAX)) found.push(tooLong(SUBDOMAIN_LENGTH_MAX));
  if (!SUBDOMAIN_TEST.test(text)) found.push(patternMessage(SUBDOMAIN_MESSAGE, SUBDOMAIN, 'example.com'));
  return found;
}

/** RFC 1035 label: begins with a letter. */
export function dns1035Label(text: string): string[] {
  const found: string[] = [];
  if (isLonger(text, LABEL_LENGTH_MAX)) found.push(tooLong(LABEL_LENGTH_MAX));
  if (!LABEL_1035_TEST.test(text)) found.push(patternMessage(LABEL_1035_MESSAGE, LABEL_1035, 'my-name', 'abc-123'));
  return found;
}

/** `*.` and a subdomain. */
export function wildcardSubdomain(text: string): string[] {
  const pattern = `\\*\\.${SUBDOMAIN}`;
  const found: string[] = [];
  if (isLonger(text, SUBDOMAIN_LENGTH_MAX)) found.push(tooLong(SUBDOMAIN_LENGTH_MAX));
  if (!whole(pattern).test(text)) {
    found.push(
      patternMessage(
        "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character",
        pattern,
        '*.example.com',
      ),
    );
  }
  return found;
}

/** A key of a label or annotation: `name` or `prefix/name`. */
export function qualifiedName(text: string): string[] {
  const parts = text.split('/');
  const [first = '', second] = parts;
  const found: string[] = [];
  if (parts.length > 2) {
    return [
      `a qualified name ${patternMessage(QUALIFIED_MESSAGE, QUALIFIED, 'MyName', 'my.name', '123-abc')} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')`,
    ];
  }
  if (second !== undefined) {
    if (first === '') found.push('prefix part must be non-empty');
    else found.push(...dns1123Subdomain(first).map(sentence => `prefix part ${sentence}`));
  }
  const name = second ?? first;
  if (name === '') found.push('name part must be non-empty');
  else if (isLonger(name, LABEL_LENGTH_MAX)) found.push(`name part ${tooLong(LABEL_LENGTH_MAX)}`);
  if (!QUALIFIED_TEST.test(name)) {
    found.push(`name part ${patternMessage(QUALIFIED_MESSAGE, QUALIFIED, 'MyName', 'my.name', '123-abc')}`);
  }
  return found;
}

/** A label's value; may be empty. */
export function labelValue(text: string): string[] {
  const found: string[] = [];
  if (isLonger(text, LABEL_LENGTH_MAX)) found.push(tooLong(LABEL_LENGTH_MAX));
  if (text !== '' && !QUALIFIED_TEST.test(text)) {
    found.push(
      patternMessage(
        "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character",
        `(${QUALIFIED})?`,
        'MyValue',
        'my_value',
        '12345',
      ),
    );
  }
  return found;
}

/** A key of a ConfigMap or Secret. */
export function configMapKey(text: string): string[] {
  const found: string[] = [];
  if (isLonger(text, SUBDOMAIN_LENGTH_MAX)) found.push(tooLong(SUBDOMAIN_LENGTH_MAX));
  if (!CONFIG_KEY_TEST.test(text)) {
    found.push(
      patternMessage(
        "a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
        CONFIG_KEY,
        'key.name',
        'KEY_NAME',
        'key-name',
      ),
    );
  }
  found.push(...dotRules(text));
  return found;
}

function dotRules(text: string): string[] {
  if (text === '.') return [`must not be '.'`];
  if (text === '..') return [`must not be '..'`];
  return text.startsWith('..') ? [`must not start with '..'`] : [];
}

/** A name of an environment variable, in the relaxed form that Kubernetes 1.33 accepts: printable ASCII without `=`. */
export function relaxedEnvName(text: string): string[] {
  if (text === '') return ['environment variable name must be non-empty'];
  const isPrintable = [...text].every(character => character >= ' ' && character <= '~' && character !== '=');
  return isPrintable
    ? []
    : ["a valid environment variable name must consist only of printable ASCII characters other than '='"];
}

/** An IANA service name: what ports are called. */
export function portName(text: string): string[] {
  const found: string[] = [];
  if (isLonger(text, 15)) found.push('must be no more than 15 characters');
  if (!/^[-a-z0-9]+$/.test(text)) found.push('must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)');
  if (!/[a-z]/.test(text)) found.push('must contain at least one letter (a-z)');
  if (text.includes('--')) found.push('must not contain consecutive hyphens');
  if (text !== '' && (text.startsWith('-') || text.endsWith('-'))) found.push('must not begin or end with a hyphen');
  return found;
}

/** A port's number. */
export const portNumber = (port: number): string[] =>
  port >= 1 && port <= 65_535 ? [] : ['must be between 1 and 65535, inclusive'];

/** A segment of a URL path. */
export function pathSegment(text: string): string[] {
  if (text === '.' || text === '..') return [`may not be '${text}'`];
  const found: string[] = [];
  for (const character of ['/', '%']) if (text.includes(character)) found.push(`may not contain '${character}'`);
  return found;
}

/** A prefix ends in a dash that the suffix follows: the rule sees it replaced by a letter. */
const masked = (name: string, isPrefix: boolean): string =>
  isPrefix && name.length > 1 && name.endsWith('-') ? `${name.slice(0, -2)}a` : name;

export const subdomainName: NameRule = (name, isPrefix) => dns1123Subdomain(masked(name, isPrefix));
export const labelName: NameRule = (name, isPrefix) => dns1123Label(masked(name, isPrefix));
export const serviceName: NameRule = (name, isPrefix) => dns1035Label(masked(name, isPrefix));
export const pathSegmentName: NameRule = name => pathSegment(name);
