/** What went over network interfaces, as the kernel counts it. */
import { readFile } from 'node:fs/promises';

export interface InterfaceCounts {
  readonly name: string;
  readonly receivedBytes: number;
  readonly receivedPackets: number;
  readonly receiveErrors: number;
  readonly receiveDrops: number;
  readonly sentBytes: number;
  readonly sentPackets: number;
  readonly sendErrors: number;
  readonly sendDrops: number;
}

/** Where a field stands behind the name in `/proc/net/dev`. */
const FIELDS = {
  ...{ receivedBytes: 0, receivedPackets: 1, receiveErrors: 2, receiveDrops: 3 },
  ...{ sentBytes: 8, sentPackets: 9, sendErrors: 10, sendDrops: 11 },
} as const;
/** Interfaces that count what others count too, or what never left the machine (cAdvisor leaves out the same). */
const PASSED_OVER = /^(lo|veth|docker|nerdctl)/;

/** Reads the kernel's table; lines that are none are passed over. Pure. */
export function parseInterfaces(text: string): InterfaceCounts[] {
  return text.split('\n').flatMap(line => {
    const [, name, rest] = /^\s*([^\s:]+):\s*(.*)$/.exec(line) ?? [];
    if (name === undefined || rest === undefined || PASSED_OVER.test(name)) return [];
    const counts = rest.split(/\s+/).map(Number);
    if (counts.length <= FIELDS.sendDrops || !counts.every(Number.isFinite)) return [];
    const at = (field: keyof typeof FIELDS) => counts[FIELDS[field]] ?? 0;
    return [
      {
        name,
        receivedBytes: at('receivedBytes'),
        receivedPackets: at('receivedPackets'),
        receiveErrors: at('receiveErrors'),
        receiveDrops: at('receiveDrops'),
        sentBytes: at('sentBytes'),
        sentPackets: at('sentPackets'),
        sendErrors: at('sendErrors'),
        sendDrops: at('sendDrops'),
      },
    ];
  });
}

/** The interfaces that a process has; undefined if it is gone. */
export async function interfacesOf(pid: number | 'self'): Promise<readonly InterfaceCounts[] | undefined> {
  const text = await readFile(`/proc/${pid}/net/dev`, 'utf8').catch(() => undefined);
  return text === undefined ? undefined : parseInterfaces(text);
}
