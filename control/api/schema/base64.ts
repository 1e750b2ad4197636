/** Base64 of bytes and texts, without Node's Buffer. */

/** Text as base64 of its UTF-8 bytes. */
export function textToBase64(text: string): string {
  let binary = '';
  for (const byte of new TextEncoder().encode(text)) binary += String.fromCharCode(byte);
  return btoa(binary);
}

/** The bytes that base64 stands for. */
export function base64ToBytes(base64: string): Uint8Array {
  return Uint8Array.from(atob(base64), character => character.charCodeAt(0));
}

/** The text that base64 stands for. */
export const base64ToText = (base64: string): string => new TextDecoder().decode(base64ToBytes(base64));

/** How many bytes base64 stands for. */
export function base64Length(base64: string): number {
  const padding = base64.endsWith('==') ? 2 : base64.endsWith('=') ? 1 : 0;
  return (base64.length / 4) * 3 - padding;
}
