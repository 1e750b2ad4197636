/** Members that were taken in before they were ever started: their place is known by their peer address alone. */

/** What such a member is called until it starts and says its name. */
export function unstartedName(id: string): string {
  return `unstarted-${id}`;
}

interface Known {
  readonly id: string;
  readonly name: string;
  readonly peerAddress: string;
}

/** The place that was kept for a member that starts at this address, if one was. */
export function keptPlace<Member extends Known>(members: readonly Member[], peerAddress: string): Member | undefined {
  return members.find(member => member.peerAddress === peerAddress && member.name === unstartedName(member.id));
}
