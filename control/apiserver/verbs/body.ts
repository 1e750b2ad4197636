/** From a request's body to an object of the kind that its URL speaks of. */
import type { Kind, KindDeclaration, KubernetesObject } from '../../api/kind.ts';
import { decodeProtobuf } from '../../api/protobuf/decode.ts';
import { decode } from '../../api/schema/decode.ts';
import { JsonSyntaxError, parseJson, plainValue, TOO_DEEP } from '../../api/schema/json.ts';
import { parseYaml, YamlSyntaxError } from '../../api/schema/yaml.ts';
import { ApiError, badRequest } from '../../api/status.ts';
import { bodyFormat } from '../http/negotiate.ts';
import type { Exchange } from '../types.ts';
import type { FieldValidation } from './options.ts';

const decoder = new TextDecoder();

/** Reads, decodes and defaults an object; sentences about unknown fields become warnings. Throws 400, 413, 415. */
export async function readObject(
  exchange: Exchange,
  kind: KindDeclaration,
  fieldValidation: FieldValidation,
): Promise<KubernetesObject> {
  const object = await readUndefaulted(exchange, kind, fieldValidation);
  kind.defaults(object);
  return object;
}

/** {@link readObject} as it was sent, without defaults. */
export async function readUndefaulted<T extends KubernetesObject>(
  exchange: Exchange,
  kind: Kind<T>,
  fieldValidation: FieldValidation,
): Promise<T> {
  const format = bodyFormat(exchange.headers['content-type']);
  const bytes = await exchange.readBody();
  const { object, warnings } =
    format === 'protobuf'
      ? decode(kind, { value: fromProtobuf(bytes, kind) }, { fieldValidation })
      : decode(kind, decoder.decode(bytes), { fieldValidation, format });
  exchange.warnings.push(...warnings);
  return object;
}

/** Reads a body without a kind to check: a value, or undefined where there is none. Throws 400, 413, 415. */
export async function readValue(exchange: Exchange): Promise<unknown> {
  const format = bodyFormat(exchange.headers['content-type']);
  const bytes = await exchange.readBody();
  if (bytes.byteLength === 0) return undefined;
  if (format === 'protobuf') return decodeProtobuf(bytes);
  const text = decoder.decode(bytes);
  if (format === 'yaml') return fromYaml(text);
  try {
    return plainValue(parseJson(text).value);
  } catch (error) {
    if (error instanceof JsonSyntaxError && error.message === TOO_DEEP) throw badRequest(TOO_DEEP);
    throw new ApiError('', "couldn't get version/kind; json parse error: unexpected end of JSON input", {
      code: 500,
      cause: error,
    });
  }
}

function fromYaml(text: string): unknown {
  try {
    return parseYaml(text).value;
  } catch (error) {
    if (!(error instanceof YamlSyntaxError)) throw error;
    throw badRequest(`error converting YAML to JSON: ${error.message}`);
  }
}

const SHOWN_BYTES = 30;

function fromProtobuf(bytes: Uint8Array, { kind }: Pick<KindDeclaration, 'kind'>): unknown {
  try {
    return decodeProtobuf(bytes);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    const shown = Buffer.from(bytes.subarray(0, SHOWN_BYTES)).toString('hex');
    const summary = bytes.byteLength > SHOWN_BYTES ? `${shown} ...` : shown;
    throw badRequest(`the object provided is unrecognized (must be of type ${kind}): ${error.message} (${summary})`);
  }
}
