/** URLs (Kubernetes' url library): absolute URIs and absolute paths, as Go's url.ParseRequestURI takes them. */
import { Opaque } from '../opaque.ts';
import { ArrayList, EntryMap, EvaluationError, type Value } from '../values.ts';
import { define, type Overload } from './library.ts';

interface Parsed {
  readonly text: string;
  readonly scheme: string;
  readonly host: string;
  readonly hostname: string;
  readonly port: string;
  readonly escapedPath: string;
  readonly query: string;
}
type Url = Opaque<Parsed>;

const SHAPE =
  /^(?:([a-zA-Z][a-zA-Z0-9+.-]*):)?(?:\/\/(?:[^/?@]*@)?(\[[^\]]*\]|[^/?:]*)(?::(\d*))?)?([^?]*)(?:\?(.*))?$/s;

/** Undefined if that is no URL. */
function parse(text: string): Parsed | undefined {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what Go refuses
  if (text === '' || /[\u0000-\u001f\u007f]/.test(text)) return undefined;
  const match = SHAPE.exec(text);
  if (!match) return undefined;
  const [, scheme = '', hostname, port = '', path = '', query = ''] = match;
  // Either it names a scheme, or it is a path from the root.
  if (scheme === '' && !text.startsWith('/')) return undefined;
  if (scheme !== '' && hostname === undefined && !path.startsWith('/')) return undefined;
  if (scheme === '' && hostname !== undefined && !text.startsWith('//')) return undefined;
  if (/%(?![0-9a-fA-F]{2})/.test(path) || /[\s<>"]/.test(hostname ?? '')) return undefined;
  const name = hostname?.replace(/^\[|\]$/g, '') ?? '';
  const host = `${hostname ?? ''}${/:\d*(?:[/?]|$)/.test(text.slice(scheme.length + 3)) && port !== '' ? `:${port}` : ''}`;
  return { text, scheme: scheme.toLowerCase(), host, hostname: name, port, escapedPath: escapePath(path), query };
}

const escapePath = (path: string): string =>
  path.replaceAll(/[^a-zA-Z0-9\-._~$&+,/:;=@%!'()*[\]]/gu, character => encodeURIComponent(character));

function queryValues(query: string): Value {
  const values = new Map<string, string[]>();
  for (const part of query.split('&')) {
    if (part === '' || part.includes(';')) continue;
    const at = part.indexOf('=');
    const name = unescaped(at < 0 ? part : part.slice(0, at));
    const value = unescaped(at < 0 ? '' : part.slice(at + 1));
    if (name === undefined || value === undefined) continue;
    values.set(name, [...(values.get(name) ?? []), value]);
  }
  return new EntryMap([...values].map(([name, all]) => [name, new ArrayList(all)] as const));
}

function unescaped(text: string): string | undefined {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    return undefined;
  }
}

const URL_TYPE = 'kubernetes.URL';
const wrap = (parsed: Parsed): Url => new Opaque(URL_TYPE, parsed, (a, b) => a.text === b.text);

export const URLS: readonly Overload[] = [
  define<[string]>(
    `url(string): ${URL_TYPE}`,
    text => {
      const parsed = parse(text);
      if (!parsed)
        throw new EvaluationError(
          `URL parse error during conversion from string: parse ${JSON.stringify(text)}: invalid URI for request`,
        );
      return wrap(parsed);
    },
    'scan',
  ),
  define<[string]>('isURL(string): bool', text => parse(text) !== undefined, 'scan'),
  define<[Url]>(`${URL_TYPE}->getScheme(): string`, ({ content }) => content.scheme),
  define<[Url]>(`${URL_TYPE}->getHost(): string`, ({ content }) => content.host),
  define<[Url]>(`${URL_TYPE}->getHostname(): string`, ({ content }) => content.hostname),
  define<[Url]>(`${URL_TYPE}->getPort(): string`, ({ content }) => content.port),
  define<[Url]>(`${URL_TYPE}->getEscapedPath(): string`, ({ content }) => content.escapedPath),
  define<[Url]>(`${URL_TYPE}->getQuery(): map(string, list(string))`, ({ content }) => queryValues(content.query)),
];
