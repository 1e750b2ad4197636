/** What a machine that joins and a master that takes it in say to each other, over the API server's own port. */
import { z } from 'zod';
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
} as const;

/** Groups that a token puts its bearer in. Kubernetes wants the prefix for `auth-extra-groups`. */
export const MASTER_JOINERS = 'system:bootstrappers:raftsman:masters';
export const NODE_JOINERS = 'system:bootstrappers:raftsman:nodes';

const name = z
  .string()
  .regex(/^[a-z0-9]([-a-z0-9.]{0,61}[a-z0-9])?$/, 'must be a lower-case DNS name of at most 63 characters');
const hostAndPort = z.string().regex(/^.+:\d{1,5}$/, 'must be HOST:PORT');

/** One member of the store, as the membership in the log has it. */
export const memberSchema = z.object({
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

export const joinMasterRequestSchema = z.object({ name });
export const joinMasterAnswerSchema = z.object({
  membership: membershipSchema,
  secrets: clusterSecretsSchema,
  settings: clusterSettingsSchema,
});
export type JoinMasterAnswer = z.infer<typeof joinMasterAnswerSchema>;

export const addMemberRequestSchema = memberSchema;
export const addMemberAnswerSchema = z.object({ membership: membershipSchema });

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
