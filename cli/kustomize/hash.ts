/** The hash that kustomize and kubectl put behind the names of config maps and secrets made from files. */
import { createHash } from 'node:crypto';
import type { JsonObject } from '../client/api.ts';
import { sorted } from '../output/documents.ts';

const LENGTH = 10;
/** Hexadecimal digits that would spell words, or look like others, are written otherwise. */
const DIGITS: Readonly<Record<string, string>> = { '0': 'g', '1': 'h', '3': 'k', a: 'm', e: 't' };

/**
 * Ten signs that change with the data.
 * @param isNamed kubectl counts the name, kustomize does not.
 */
export function contentHash({ kind, metadata, data, binaryData, type }: JsonObject, isNamed = true): string {
  const name = isNamed ? (metadata as { name?: string }).name : '';
  const isSecret = kind === 'Secret';
  const text = JSON.stringify(
    sorted({
      kind,
      name,
      data: data ?? (isSecret ? null : ''),
      ...(isSecret && { type: type ?? '' }),
      ...(!isSecret && binaryData !== undefined && { binaryData }),
    }),
  );
  const hex = createHash('sha256').update(escapedAsGo(text)).digest('hex').slice(0, LENGTH);
  return [...hex].map(digit => DIGITS[digit] ?? digit).join('');
}

/** Go writes these signs escaped in JSON. */
const escapedAsGo = (text: string): string =>
  text.replaceAll(/[<>&\u2028\u2029]/g, sign => `\\u${sign.charCodeAt(0).toString(16).padStart(4, '0')}`);
