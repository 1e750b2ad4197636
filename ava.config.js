export default {
  extensions: { ts: 'module' },
  files: ['**/*.test.ts', '!dist/**'],
  // Threads share their process' files: a program that one has just written cannot be run while another, in the midst of a
  // fork, still holds it open for writing (ETXTBSY).
  workerThreads: false,
};
