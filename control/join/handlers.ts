/**
 * The master's side of joining. Each handler takes who asks and what was sent, and answers with a plain object; the API
 * server has authenticated the caller before.
 */
import type { z } from 'zod';
import { ApiError, badRequest } from '../api/status.ts';
import { LEAF_VALID_DAYS, signRequest } from '../pki/authority.ts';
import type { EncryptionKeys } from '../pki/encryption-keys.ts';
import type { ClusterSecrets } from '../pki/files.ts';
import {
  type AddMemberRequest,
  addMemberRequestSchema,
  type ClusterSettings,
  type JoinMasterAnswer,
  joinMasterRequestSchema,
  joinNodeRequestSchema,
  MASTER_JOINERS,
  NODE_JOINERS,
  PATHS,
  type StatusAnswer,
} from './protocol.ts';

/** Who asks. */
export interface Caller {
  readonly user: string;
  readonly groups: readonly string[];
}
/** A member of the store and what it is allowed. */
export interface MembershipView {
  readonly clusterId: string;
  readonly members: readonly {
    readonly id: string;
    readonly name: string;
    readonly peerAddress: string;
    readonly clientUrl: string;
    readonly role: 'voter' | 'learner';
  }[];
}
/** What the handlers need of this master. */
export interface JoinDependencies {
  readonly secrets: ClusterSecrets;
  readonly settings: ClusterSettings;
  /** Undefined where a file has the keys, which every master must be given. */
  readonly encryptionKeys?: () => EncryptionKeys;
  readonly now: () => number;
  readonly membership: () => MembershipView;
  readonly status: () => Promise<{
    readonly leaderId: string | undefined;
    readonly term: number;
    readonly revision: number;
  }>;
  readonly addMember: (member: AddMemberRequest) => Promise<MembershipView>;
}

export interface JoinRoute {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  /** False: anybody may ask. */
  readonly authenticate: boolean;
  /** Answers with a plain object, or with a stream of bytes. */
  readonly handle: (caller: Caller, body: unknown) => Promise<unknown>;
}

const ADMINISTRATORS = 'system:masters';

/** A route for administrators only. `what` completes "cannot …". */
export function administratorRoute<S extends z.ZodType>(route: {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly what: string;
  readonly body: S;
  readonly handle: (body: z.infer<S>) => Promise<unknown>;
}): JoinRoute {
  const { method, path, what, body: schema, handle } = route;
  return {
    method,
    path,
    authenticate: true,
    handle: async (caller, body) => {
      requireGroup(caller, ADMINISTRATORS, what);
      return handle(parse(schema, body));
    },
  };
}

/** All paths of the product's own, for the API server's `routes` option. */
export function joinRoutes(dependencies: JoinDependencies): readonly JoinRoute[] {
  const { secrets, settings } = dependencies;
  const servers = () => dependencies.membership().members.map(member => member.clientUrl);
  return [
    {
      method: 'GET',
      path: PATHS.authority,
      authenticate: false,
      handle: async () => ({ certificate: secrets.authority.certificate }),
    },
    { method: 'GET', path: PATHS.servers, authenticate: true, handle: async () => ({ servers: servers() }) },
    {
      method: 'GET',
      path: PATHS.status,
      authenticate: true,
      handle: async (caller): Promise<StatusAnswer> => {
        requireGroup(caller, ADMINISTRATORS, 'see the store');
        const { leaderId, term, revision } = await dependencies.status();
        const { clusterId, members } = dependencies.membership();
        return { clusterId, leader: leaderId ?? null, term, revision, members: [...members] };
      },
    },
    {
      method: 'POST',
      path: PATHS.joinMaster,
      authenticate: true,
      handle: async (caller, body): Promise<JoinMasterAnswer> => {
        requireGroup(caller, MASTER_JOINERS, 'join as a master');
        const { name, replaces } = parse(joinMasterRequestSchema, body);
        const { clusterId, members } = dependencies.membership();
        refuseJoiner({ name, replaces, members });
        const encryptionKeys = dependencies.encryptionKeys?.();
        return {
          membership: { clusterId, members: [...members] },
          secrets,
          settings,
          ...(encryptionKeys && { encryptionKeys }),
        };
      },
    },
    {
      method: 'POST',
      path: PATHS.addMember,
      authenticate: true,
      handle: async (caller, body) => {
        requireGroup(caller, MASTER_JOINERS, 'join as a master');
        const { clusterId, members } = await dependencies.addMember(parse(addMemberRequestSchema, body));
        return { membership: { clusterId, members } };
      },
    },
    {
      method: 'POST',
      path: PATHS.joinNode,
      authenticate: true,
      handle: async (caller, body) => {
        const { name, request, hosts } = parse(joinNodeRequestSchema, body);
        // A node renews its own certificate with the one that it has.
        if (caller.user !== `system:node:${name}`) requireGroup(caller, NODE_JOINERS, 'join as a node');
        const certificate = await sign(dependencies, { name, request, hosts });
        return { certificate, authority: secrets.authority.certificate, servers: servers(), settings };
      },
    },
  ];
}

/** Two masters cannot have one name, unless one takes the other's place. */
function refuseJoiner(joiner: {
  readonly name: string;
  readonly replaces: string | undefined;
  readonly members: MembershipView['members'];
}): void {
  const { name, replaces, members } = joiner;
  const replaced = members.find(member => member.id === replaces || member.name === replaces);
  if (replaces !== undefined && replaced === undefined) {
    throw new ApiError(
      'Conflict',
      `there is no member ${replaces} to replace: \`raftsman member list\` shows who is there`,
    );
  }
  if (!members.some(member => member.name === name && member !== replaced)) return;
  throw new ApiError(
    'Conflict',
    `a master named ${name} is a member already: choose another --name, start it from its own data directory without --join, or, if its data is lost, add --replace ${name}`,
  );
}

async function sign(
  { secrets, now }: JoinDependencies,
  { name, request, hosts }: { readonly name: string; readonly request: string; readonly hosts: readonly string[] },
): Promise<string> {
  try {
    return await signRequest(
      secrets.authority,
      {
        pem: request,
        subject: {
          commonName: `system:node:${name}`,
          organizations: ['system:nodes'],
          hosts: [...new Set([name, ...hosts])],
          usages: ['client', 'server'],
        },
      },
      { nowMs: now(), validDays: LEAF_VALID_DAYS },
    );
  } catch (error) {
    throw badRequest(
      `the certificate request cannot be signed: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
}

function requireGroup(caller: Caller, group: string, what: string): void {
  if (caller.groups.includes(group) || caller.groups.includes(ADMINISTRATORS)) return;
  throw new ApiError('Forbidden', `forbidden: User "${caller.user}" cannot ${what}: it is not in the group ${group}`);
}

function parse<S extends z.ZodType>(schema: S, body: unknown): z.infer<S> {
  const result = schema.safeParse(body);
  if (result.success) return result.data;
  throw badRequest(result.error.issues.map(issue => `${issue.path.join('.') || 'body'}: ${issue.message}`).join('; '));
}
