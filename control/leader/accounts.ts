/** Who acts within a master, as the API server knows it. */

export interface InternalUser {
  readonly user: string;
  readonly groups: readonly string[];
}
const CONTROLLER_PREFIX = 'system:serviceaccount:kube-system:';

/** Reads for all controllers, and holds their lease; may what its roles say, and no more. */
export const CONTROLLER_MANAGER: InternalUser = {
  user: 'system:kube-controller-manager',
  groups: ['system:authenticated'],
};
/** May what its roles say, and no more. */
export const SCHEDULER: InternalUser = {
  user: 'system:kube-scheduler',
  groups: ['system:authenticated'],
};
/** A master itself, which may everything. */
export const MASTER: InternalUser = {
  user: 'system:raftsman:master',
  groups: ['system:masters', 'system:authenticated'],
};

/** One controller, as the service account whose roles it has. It needs no token, and so the account need not be there. */
export function controllerUser(account: string): InternalUser {
  return {
    user: `${CONTROLLER_PREFIX}${account}`,
    groups: ['system:serviceaccounts', 'system:serviceaccounts:kube-system', 'system:authenticated'],
  };
}

/** Whom the leader's thread means; it is never a master. Throws for any other name. */
export function leaderUser(user: string): InternalUser {
  if (user === CONTROLLER_MANAGER.user) return CONTROLLER_MANAGER;
  if (user === SCHEDULER.user) return SCHEDULER;
  if (!user.startsWith(CONTROLLER_PREFIX)) throw new RangeError(`${user} does not act within a leader`);
  return controllerUser(user.slice(CONTROLLER_PREFIX.length));
}
