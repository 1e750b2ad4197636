/**
 * Which representation a client gets (Accept) and has sent (Content-Type). As kube-apiserver, a clause asking `as=` a kind
 * that the path cannot give is passed over in favour of the next; protobuf is read but never written, so a clause asking
 * for it is passed over too (every client that sends one lists JSON behind it).
 */
import { ApiError } from '../../api/status.ts';

export type Form = 'Object' | 'Table' | 'PartialObjectMetadata' | 'PartialObjectMetadataList';

export interface Representation {
  readonly mediaType: 'application/json' | 'application/yaml';
  readonly form: Form;
  /** The version of meta.k8s.io that tables and partial objects are told in. */
  readonly metaVersion: 'v1' | 'v1beta1';
}

export interface Clause {
  readonly type: string;
  readonly parameters: ReadonlyMap<string, string>;
}

const MEDIA_TYPES = 'application/json, application/yaml, application/vnd.kubernetes.protobuf';
/** What else the paths of collections can give. */
const STREAM_TYPES = 'application/json;stream=watch, application/vnd.kubernetes.protobuf;stream=watch';
const KNOWN = new Set(MEDIA_TYPES.split(', '));
const FORMS = new Set<string>(['Table', 'PartialObjectMetadata', 'PartialObjectMetadataList']);

/** The clauses of an Accept header, best quality first, else in order. A missing header accepts anything. */
export function parseAccept(header: string | undefined): Clause[] {
  if (!header?.trim()) return [{ type: '*/*', parameters: new Map() }];
  const clauses = header.split(',').map((text, index) => {
    const [type = '', ...pairs] = text.split(';').map(part => part.trim());
    const parameters = new Map(
      pairs.map(pair => {
        const [name = '', value = ''] = pair.split('=').map(part => part.trim());
        return [name.toLowerCase(), value.replaceAll('"', '')] as const;
      }),
    );
    const quality = Number(parameters.get('q') ?? '1');
    return { type: type.toLowerCase(), parameters, quality: Number.isNaN(quality) ? 0 : quality, index };
  });
  return clauses
    .filter(({ type, quality }) => type !== '' && quality > 0)
    .sort((a, b) => b.quality - a.quality || a.index - b.index);
}

/** True if the clause takes JSON. */
export function acceptsJson({ type }: Clause): boolean {
  return type === 'application/json' || type === '*/*' || type === 'application/*';
}

/** Of so many headers of at most this length the choice is remembered: clients send one of a few, with every request. */
const CHOICES_MAX = 256;
const REMEMBERED_LENGTH_MAX = 256;
const choices = new Map<string, Representation>();

/** Chooses the representation of an object, a list or a watch; of what `isPlain`, such as reviews, there are no others. Throws 406. */
export function negotiate(accept = '', options: { isCollection?: boolean; isPlain?: boolean } = {}): Representation {
  // What a collection is only changes what a refusal says.
  const key = (options.isPlain ? 'p' : 'o') + accept;
  const known = choices.get(key);
  if (known) return known;
  const choice = choose(accept, options);
  if (choices.size >= CHOICES_MAX) choices.clear();
  if (key.length <= REMEMBERED_LENGTH_MAX) choices.set(key, choice);
  return choice;
}

function choose(accept: string, { isCollection = false, isPlain = false }): Representation {
  const clauses = parseAccept(accept);
  if (!clauses.some(clause => acceptsJson(clause) || KNOWN.has(clause.type))) throw notAcceptable(isCollection);
  for (const { type, parameters } of clauses) {
    const mediaType = type === 'application/yaml' ? type : acceptsJson({ type, parameters }) ? 'application/json' : '';
    if (mediaType === '') continue;
    const as = parameters.get('as');
    if (as === undefined) return { mediaType, form: 'Object', metaVersion: 'v1' };
    const version = parameters.get('v') ?? 'v1';
    const isKnown = !isPlain && FORMS.has(as) && (parameters.get('g') ?? 'meta.k8s.io') === 'meta.k8s.io';
    if (isKnown && (version === 'v1' || version === 'v1beta1')) {
      return { mediaType, form: as as Form, metaVersion: version };
    }
  }
  throw new ApiError('NotAcceptable', `only the following media types are accepted: ${MEDIA_TYPES}`);
}

/** No media type of the Accept header is known at all. */
function notAcceptable(isCollection: boolean): ApiError {
  const available = isCollection ? `${MEDIA_TYPES}, ${STREAM_TYPES}` : MEDIA_TYPES;
  return new ApiError('NotAcceptable', `406: Not Acceptable\n\nAvailable representations: ${available}`, {
    details: {},
  });
}

export type BodyFormat = 'json' | 'yaml' | 'protobuf';

/** How a request's body is written. A missing Content-Type means JSON. Throws 415. */
export function bodyFormat(contentType: string | undefined): BodyFormat {
  switch (mediaTypeOf(contentType)) {
    case '':
    case 'application/json':
      return 'json';
    case 'application/yaml':
      return 'yaml';
    case 'application/vnd.kubernetes.protobuf':
      return 'protobuf';
    default:
      throw new ApiError(
        'UnsupportedMediaType',
        `the body of the request was in an unknown format - accepted media types include: ${MEDIA_TYPES}`,
      );
  }
}

/** The media type of a Content-Type header without its parameters. */
export function mediaTypeOf(contentType: string | undefined): string {
  return (contentType ?? '').split(';')[0]?.trim().toLowerCase() ?? '';
}
