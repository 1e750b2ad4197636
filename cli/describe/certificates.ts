/** Requests for certificates: who asks, and for which name. */
import { readCertificateRequest } from '../../control/api/certificates/request.ts';
import type { CertificateSigningRequest } from '../../control/api/generated/types.ts';
import { humanDuration } from '../../control/api/printers/human-duration.ts';
import { labelsText } from '../../control/api/printers/printer.ts';
import { failure } from '../client/errors.ts';
import { describing } from './description.ts';
import { timeText } from './lines.ts';

export const certificateSigningRequest = describing<CertificateSigningRequest>(({ metadata, spec, status }) => {
  const request = read(Buffer.from(spec?.request ?? '', 'base64').toString());
  const listed = (name: string, values: readonly string[]) =>
    values.map((value, index) => `\t${index === 0 ? `${name}:` : ''}\t${value}`);
  const others = [
    ...listed('DNS Names', request.dnsNames),
    ...listed('Email Addresses', request.emailAddresses),
    ...listed('URIs', request.uris),
    ...listed('IP Addresses', request.ipAddresses),
  ];
  return [
    `Name:\t${metadata?.name}`,
    `Labels:\t${labelsText(metadata?.labels)}`,
    `Annotations:\t${labelsText(metadata?.annotations)}`,
    `CreationTimestamp:\t${timeText(metadata?.creationTimestamp)}`,
    `Requesting User:\t${spec?.username ?? ''}`,
    ...(spec?.signerName ? [`Signer:\t${spec.signerName}`] : []),
    ...(spec?.expirationSeconds === undefined
      ? []
      : [`Requested Duration:\t${humanDuration(spec.expirationSeconds * 1000)}`]),
    `Status:\t${stateText(status)}`,
    'Subject:',
    `\tCommon Name:\t${request.commonName}`,
    '\tSerial Number:\t',
    ...listed('Organization', request.organizations),
    ...(others.length > 0 ? ['Subject Alternative Names:', ...others] : []),
  ];
});

function read(pem: string): ReturnType<typeof readCertificateRequest> {
  try {
    return readCertificateRequest(pem);
  } catch (error) {
    throw failure(`Error parsing CSR: ${error instanceof Error ? error.message : String(error)}`, error);
  }
}

/** As the table has it: what was decided, and whether there is a certificate. */
function stateText(status: CertificateSigningRequest['status']): string {
  const types = new Set((status?.conditions ?? []).map(({ type }) => type));
  const decided = types.has('Denied') ? ['Denied'] : types.has('Approved') ? ['Approved'] : ['Pending'];
  if (types.has('Failed')) decided.push('Failed');
  if (status?.certificate) decided.push('Issued');
  return decided.join(',');
}
