/** Shows the tables that the server renders: which columns, in which order, with what beside them. */
import type { JsonObject } from '../client/api.ts';
import { cellText, TableWriter } from './tables.ts';

/** What kubectl asks for; a server that knows no tables answers with plain objects. */
export const TABLE_MEDIA_TYPE =
  'application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json';

export interface TableDocument {
  readonly kind?: string;
  readonly metadata?: { readonly continue?: string; readonly resourceVersion?: string };
  readonly columnDefinitions?: readonly {
    readonly name: string;
    readonly format?: string;
    readonly priority?: number;
  }[];
  readonly rows?: readonly { readonly cells: readonly unknown[]; readonly object?: JsonObject }[];
}

export interface TableOptions {
  readonly isWide: boolean;
  readonly hasHeaders: boolean;
  readonly hasNamespace: boolean;
  readonly hasLabels: boolean;
  readonly labelColumns: readonly string[];
  /** Before each name: `pod/`. */
  readonly namePrefix: string;
  readonly hasEventTypes: boolean;
}

interface Metadata {
  readonly namespace?: string;
  readonly labels?: Readonly<Record<string, string>>;
}

export class ServerTable {
  readonly #writer: TableWriter;
  readonly #options: TableOptions;
  #columns: NonNullable<TableDocument['columnDefinitions']> = [];
  #hasHeader = false;

  constructor(write: (line: string) => void, options: TableOptions) {
    this.#writer = new TableWriter(write);
    this.#options = options;
  }

  /** Learns the columns without printing. */
  remember(document: TableDocument): void {
    if (document.columnDefinitions?.length) this.#columns = document.columnDefinitions;
  }

  /** Prints the rows of documents, which are chunks of one table; the header once. */
  print(documents: readonly TableDocument[], order?: (a: JsonObject, b: JsonObject) => number, eventType = ''): void {
    for (const document of documents) this.remember(document);
    const rows = documents.flatMap(document => document.rows ?? []);
    if (order) rows.sort((a, b) => order(a.object ?? {}, b.object ?? {}));
    if (rows.length === 0) return;
    const lines = rows.map(row => this.#row(row, eventType));
    if (this.#options.hasHeaders && !this.#hasHeader) lines.unshift(this.#header());
    this.#hasHeader = true;
    this.#writer.print(lines);
  }

  #isShown(index: number): boolean {
    return this.#options.isWide || (this.#columns[index]?.priority ?? 0) === 0;
  }

  #header(): string[] {
    const { hasEventTypes, hasNamespace, hasLabels, labelColumns } = this.#options;
    return [
      ...(hasEventTypes ? ['EVENT'] : []),
      ...(hasNamespace ? ['NAMESPACE'] : []),
      ...this.#columns.filter((_, index) => this.#isShown(index)).map(column => column.name.toUpperCase()),
      ...labelColumns.map(label => label.slice(label.lastIndexOf('/') + 1).toUpperCase()),
      ...(hasLabels ? ['LABELS'] : []),
    ];
  }

  #row(row: NonNullable<TableDocument['rows']>[number], eventType: string): string[] {
    const { hasEventTypes, hasNamespace, hasLabels, labelColumns, namePrefix } = this.#options;
    const metadata = row.object?.metadata as Metadata | undefined;
    const cells = this.#columns.flatMap((column, index) => {
      if (!this.#isShown(index)) return [];
      const text = cellText(row.cells[index]);
      return [column.format === 'name' && column.name === 'Name' ? namePrefix + text : text];
    });
    const labels = Object.entries(metadata?.labels ?? {})
      .map(([key, value]) => `${key}=${value}`)
      .sort();
    return [
      ...(hasEventTypes ? [eventType] : []),
      ...(hasNamespace ? [metadata?.namespace ?? ''] : []),
      ...cells,
      ...labelColumns.map(label => metadata?.labels?.[label] ?? ''),
      ...(hasLabels ? [labels.join(',') || '<none>'] : []),
    ];
  }
}
