/**
 * HPACK's Huffman code (RFC 7541, appendix B), for reading only: what we send is short and mostly indexed. The code is
 * canonical (shorter codes first, then by symbol), so the lengths of the codes say all.
 */

/** The length in bits of the code of each byte, 32 to a line; the end marker (256) has 30. */
const LENGTHS = `
  13 23 28 28 28 28 28 28 28 24 30 28 28 30 28 28 28 28 28 28 28 28 30 28 28 28 28 28 28 28 28 28
  6 10 10 12 13 6 8 11 10 10 8 11 8 6 6 6 5 5 5 6 6 6 6 6 6 6 7 8 15 6 12 10
  13 6 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 8 7 8 13 19 13 14 6
  15 5 6 5 6 5 6 6 6 5 7 7 6 6 6 5 6 7 6 5 5 6 7 7 7 7 7 15 11 14 13 28
  20 22 20 20 22 22 22 23 22 23 23 23 23 23 24 23 24 24 22 23 24 23 23 23 23 21 22 23 22 23 23 24
  22 21 20 22 22 23 23 21 23 22 22 24 21 22 23 23 21 21 22 21 23 22 23 23 20 22 22 22 23 22 22 23
  26 26 20 19 22 23 22 25 26 26 26 27 27 26 24 25 19 21 26 27 27 26 27 24 21 21 26 26 28 27 27 27
  20 24 20 21 22 21 21 23 22 22 25 25 24 24 26 23 26 27 26 26 27 27 27 27 27 28 27 27 27 27 27 26
  30`;
const END_MARKER = 256;

/** Two entries a node, for the bits 0 and 1: the next node, or a symbol as its complement. Node 0 is the root. */
const tree: number[] = [0, 0];
buildTree();

/** Reads a Huffman-coded text. @throws {RangeError} where it is none */
export function huffmanDecoded(coded: Uint8Array): string {
  const bytes: number[] = [];
  let node = 0;
  let bitsSinceSymbol = 0;
  let onlyOnes = true;
  for (const byte of coded) {
    for (let mask = 0x80; mask > 0; mask >>= 1) {
      const bit = (byte & mask) === 0 ? 0 : 1;
      const next = tree[node * 2 + bit] ?? 0;
      bitsSinceSymbol++;
      onlyOnes &&= bit === 1;
      if (next >= 0) {
        node = next;
        continue;
      }
      const symbol = ~next;
      if (symbol === END_MARKER) throw new RangeError('a Huffman code holds its own end marker');
      bytes.push(symbol);
      node = 0;
      bitsSinceSymbol = 0;
      onlyOnes = true;
    }
  }
  // The rest of the last byte is the beginning of the end marker, which is all ones.
  if (bitsSinceSymbol > 7 || !onlyOnes) throw new RangeError('a Huffman code ends within a symbol');
  return Buffer.from(bytes).toString('latin1');
}

function buildTree(): void {
  const lengths = LENGTHS.trim().split(/\s+/).map(Number);
  const symbols = lengths.map((length, symbol) => ({ length, symbol }));
  symbols.sort((one, other) => one.length - other.length || one.symbol - other.symbol);
  let code = 0;
  let lastLength = 0;
  for (const { length, symbol } of symbols) {
    code *= 2 ** (length - lastLength);
    lastLength = length;
    addToTree(code, length, symbol);
    code++;
  }
}

function addToTree(code: number, length: number, symbol: number): void {
  let node = 0;
  for (let shift = length - 1; shift > 0; shift--) {
    const at = node * 2 + ((code >>> shift) & 1);
    if (tree[at] === 0) {
      tree[at] = tree.length / 2;
      tree.push(0, 0);
    }
    node = tree[at] ?? 0;
  }
  tree[node * 2 + (code & 1)] = ~symbol;
}
