/** CertificateSigningRequest. */
import * as kinds from '../generated/kinds.ts';
import type { CertificateSigningRequest, CertificateSigningRequestCondition } from '../generated/types.ts';
import type { StrategyContext } from '../kind.ts';
import {
  validateCertificateSigningRequest,
  validateCertificateSigningRequestUpdate,
} from '../validation/certificates.ts';
import { pathSegmentName } from '../validation/names.ts';
import { declare, STATUS } from './declare.ts';

export const certificateSigningRequest = declare(kinds.certificatesigningrequests, {
  nameRule: pathSegmentName,
  judgesWholeFirst: true,
  subresources: [{ name: 'approval', verbs: ['get', 'patch', 'update'] }, STATUS],
  prepareForCreate(object, context) {
    signWithRequestor(object, context);
    object.status = {};
  },
  prepareForUpdate(object, old, context) {
    // What was asked for, and by whom, is never changed.
    object.spec = old.spec;
    if (context.subresource !== 'approval') return;
    // Who approves does not sign: the conditions are all that this path writes of the status.
    const { conditions } = object.status ?? {};
    const { conditions: _conditions, ...kept } = old.status ?? {};
    object.status = { ...kept, ...(conditions && { conditions }) };
    stampConditions(object, old, context.now);
  },
  prepareForStatusUpdate(object, old, context) {
    // The decision is made through `approval` alone; what a signer sends of it is put back.
    const decisions = (old.status?.conditions ?? []).filter(({ type }) => isDecision(type));
    const others = (object.status?.conditions ?? []).filter(({ type }) => !isDecision(type));
    object.status ??= {};
    if (decisions.length + others.length > 0) object.status.conditions = [...decisions, ...others];
    else delete object.status.conditions;
    stampConditions(object, old, context.now);
  },
  validate: validateCertificateSigningRequest,
  validateUpdate: validateCertificateSigningRequestUpdate,
  selectableFieldNames: ['spec.signerName'],
  selectableFields: ({ spec }) => ({ 'spec.signerName': spec?.signerName ?? '' }),
});

const isDecision = (type: string): boolean => type === 'Approved' || type === 'Denied';

/** Who asks is what the server saw, whatever the request says of itself. */
function signWithRequestor({ spec }: CertificateSigningRequest, { user }: StrategyContext): void {
  if (!spec) return;
  spec.username = user.name;
  spec.groups = [...user.groups];
  if (user.uid) spec.uid = user.uid;
  else delete spec.uid;
  if (user.extra && Object.keys(user.extra).length > 0) {
    spec.extra = Object.fromEntries(Object.entries(user.extra).map(([key, values]) => [key, [...values]]));
  } else delete spec.extra;
}

function stampConditions(object: CertificateSigningRequest, old: CertificateSigningRequest, now: string): void {
  for (const condition of object.status?.conditions ?? []) {
    condition.lastUpdateTime ||= now;
    condition.lastTransitionTime ||= transitionOf(condition, old) ?? now;
  }
}

/** Since when a condition is as it is. */
function transitionOf(
  { type, status }: CertificateSigningRequestCondition,
  { status: old }: CertificateSigningRequest,
): string | undefined {
  const same = (old?.conditions ?? []).find(condition => condition.type === type && condition.status === status);
  return same?.lastTransitionTime || undefined;
}
