/** How servers behind this one are told who asks: in headers, believed because of the certificate that comes with them. */
import type { OutgoingHttpHeaders } from 'node:http';
import type { Identity } from '../types.ts';

/** Under whom this server asks by itself. */
export const AGGREGATOR: Identity = { user: 'system:kube-aggregator', groups: ['system:masters'] };

/** Headers that a client must not send through: they would be believed. */
export const REMOTE_HEADERS = /^x-remote-(user|uid|group|extra-.*)$/;

/** The headers (client-go transport: SetAuthProxyHeaders). */
export function remoteHeaders({ user, uid, groups, extra = {} }: Identity): OutgoingHttpHeaders {
  const headers: OutgoingHttpHeaders = { 'X-Remote-User': headerText(user) };
  if (uid) headers['X-Remote-Uid'] = headerText(uid);
  if (groups.length > 0) headers['X-Remote-Group'] = groups.map(headerText);
  for (const [key, values] of Object.entries(extra)) {
    headers[`X-Remote-Extra-${escapeKey(key)}`] = values.map(headerText);
  }
  return headers;
}

/** Characters that no header's name may have are written as in URLs. */
const escapeKey = (key: string) =>
  [...Buffer.from(key)]
    .map(byte => {
      const character = String.fromCharCode(byte);
      return /[A-Za-z0-9!#$&'*+.^_`|~-]/.test(character)
        ? character
        : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
    })
    .join('');

/** As Go sends it: the bytes of the text, without line breaks. */
const headerText = (text: string) => Buffer.from(text.replaceAll(/[\r\n\0]/g, '')).toString('latin1');
