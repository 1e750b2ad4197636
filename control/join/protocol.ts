/** What a machine that joins and a master that takes it in say to each other, over the API server's own port. */
import { z } from 'zod';
import { encryptionKeysSchema } from '../pki/encryption-keys.ts';
import { clusterSecretsSchema } from '../pki/files.ts';

/** Paths beside the Kubernetes API. */
export const PATHS = {
  /** GET, open to all: the authority's certificate, to be checked against the token's fingerprint. */
  authority: '/raftsman/v1/authority',
  /** GET, any authenticated user: where the masters are. */
  servers: '/raftsman/v1/servers',
  /** POST with a master's token: the cluster's secrets and membership. */
  joinMaster: '/raftsman/v1/join/master',
  /** POST with a master's token: makes the joiner a member, once it listens. */
  addMember: '/raftsman/v1/join/member',
  /** POST with a node's token: signs the node's certificate. */
  joinNode: '/raftsman/v1/join/node',
  /** GET, administrators: members, leader, revision. */
  status: '/raftsman/v1/status',
  /** GET, administrators: which cluster this is; answered also without a quorum. */
  identity: '/raftsman/v1/identity',
  /** GET, administrators: who belongs to the store. Below it, by POST: the changes. */
  members: '/raftsman/v1/members',
  removeMember: '/raftsman/v1/members/remove',
  promoteMember: '/raftsman/v1/members/promote',
  replaceMember: '/raftsman/v1/members/replace',
  updateMember: '/raftsman/v1/members/update',
  transferLeadership: '/raftsman/v1/members/transfer',
  /** GET, administrators: the snapshots that this master keeps. POST: take one now. */
  snapshots: '/raftsman/v1/snapshots',
  /** GET, administrators: the bytes of a new snapshot. */
  snapshotStream: '/raftsman/v1/snapshots/stream',
  /** POST, administrators: delete one that this master keeps. */
  deleteSnapshot: '/raftsman/v1/snapshots/delete',
  /** GET, administrators: how Secrets lie in the store, and which keys this master knows. */
  encryption: '/raftsman/v1/encryption',
  /** GET, administrators: the keys themselves. POST: take these over. */
  encryptionKeys: '/raftsman/v1/encryption/keys',
  /** POST, administrators: a new key, on all masters and in use. */
  rotateEncryptionKeys: '/raftsman/v1/encryption/rotate',
} as const;

/** Groups that a token puts its bearer in. Kubernetes wants the prefix for `auth-extra-groups`. */
export const MASTER_JOINERS = 'system:bootstrappers:raftsman:masters';
export const NODE_JOINERS = 'system:bootstrappers:raftsman:nodes';

const name = z
  .string()
  .regex(/^[a-z0-9]([-a-z0-9.]{0,61}[a-z0-9])?$/, 'must be a lower-case DNS name of at most 63 characters');
const hostAndPort = z.string().regex(/^.+:\d{1,5}$/, 'must be HOST:PORT');

/** One member of the store, as the membership in the log has it. */
const memberSchema = z.object({
  id: z.string().regex(/^[0-9a-f]{16}$/),
  name,
  peerAddress: hostAndPort,
  clientUrl: z.url(),
});
const membershipSchema = z.object({
  clusterId: z.string().regex(/^[0-9a-f]{16}$/),
  members: z.array(memberSchema.extend({ role: z.enum(['voter', 'learner']) })),
});

/** Settings that all masters must share; the first master decides, the others are told. */
export const clusterSettingsSchema = z.object({
  clusterCIDR: z.string(),
  serviceCIDR: z.string(),
  clusterDomain: z.string(),
});
export type ClusterSettings = z.infer<typeof clusterSettingsSchema>;

export const joinMasterRequestSchema = z.object({
  name,
  /** The name or id of the member whose place the joiner takes. */
  replaces: z.string().optional(),
});
export const joinMasterAnswerSchema = z.object({
  membership: membershipSchema,
  secrets: clusterSecretsSchema,
  settings: clusterSettingsSchema,
  /** Under which Secrets lie in the store. */
  encryptionKeys: encryptionKeysSchema.optional(),
});
export type JoinMasterAnswer = z.infer<typeof joinMasterAnswerSchema>;

export const addMemberRequestSchema = memberSchema.extend({
  /** Stays a learner until it is promoted. */
  learner: z.boolean().optional(),
  /** The name or id of the member whose place it takes. */
  replaces: z.string().optional(),
});
export type AddMemberRequest = z.infer<typeof addMemberRequestSchema>;
export const addMemberAnswerSchema = z.object({ membership: membershipSchema });

/** A member is named by its name or its id. */
const memberReference = z.string().min(1);
const force = z.boolean().optional();
export const memberRequestSchema = z.object({ member: memberReference, force });
export const replaceMemberRequestSchema = z.object({ member: memberReference, by: memberReference, force });
export const updateMemberRequestSchema = z.object({
  member: memberReference,
  peerAddress: hostAndPort.optional(),
  clientUrl: z.url().optional(),
});
export const transferRequestSchema = z.object({ to: memberReference.optional() });
export const membersAnswerSchema = z.object({
  clusterId: z.string(),
  leader: z.string().nullable(),
  members: z.array(memberSchema.extend({ role: z.enum(['voter', 'learner']) })),
});
export type MembersAnswer = z.infer<typeof membersAnswerSchema>;

/** One snapshot that a master keeps. A file that cannot be used says why. */
const snapshotEntrySchema = z.object({
  name: z.string(),
  master: z.string(),
  sizeBytes: z.number(),
  takenAt: z.string().optional(),
  revision: z.number().optional(),
  keys: z.number().optional(),
  problem: z.string().optional(),
});
export type SnapshotEntry = z.infer<typeof snapshotEntrySchema>;
export const snapshotsAnswerSchema = z.object({ folder: z.string(), snapshots: z.array(snapshotEntrySchema) });
export type SnapshotsAnswer = z.infer<typeof snapshotsAnswerSchema>;
export const snapshotTakenAnswerSchema = z.object({ snapshot: snapshotEntrySchema });
export const deleteSnapshotRequestSchema = z.object({ name: z.string() });

export const joinNodeRequestSchema = z.object({
  name,
  /** PKCS#10, PEM. */
  request: z.string().startsWith('-----BEGIN CERTIFICATE REQUEST'),
  /** Under which the masters reach the agent. */
  hosts: z.array(z.string().min(1)).max(32),
});
export const joinNodeAnswerSchema = z.object({
  certificate: z.string(),
  authority: z.string(),
  servers: z.array(z.url()),
  settings: clusterSettingsSchema,
});
export const serversAnswerSchema = z.object({ servers: z.array(z.url()) });
export const statusAnswerSchema = z.object({
  clusterId: z.string(),
  leader: z.string().nullable(),
  term: z.number(),
  revision: z.number(),
  members: z.array(memberSchema.extend({ role: z.enum(['voter', 'learner']) })),
});
export type StatusAnswer = z.infer<typeof statusAnswerSchema>;

export const encryptionStatusAnswerSchema = z.object({
  /** `masters`: the masters keep keys of their own. `file`: an EncryptionConfiguration. */
  source: z.enum(['masters', 'file']),
  /** What a Secret is written under now: `aesgcm NAME`, or `clear text`. */
  writes: z.string(),
  keys: z.array(z.object({ id: z.string(), createdAt: z.string(), state: z.enum(['active', 'next', 'old']) })),
  /** How many values lie under what; `stale` are to be rewritten. */
  values: z.record(z.string(), z.number()),
  stale: z.number(),
});
export type EncryptionStatusAnswer = z.infer<typeof encryptionStatusAnswerSchema>;
export const rotatedAnswerSchema = z.object({ key: z.string(), masters: z.array(z.string()) });
export type RotatedAnswer = z.infer<typeof rotatedAnswerSchema>;
